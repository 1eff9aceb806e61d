"""Turn text files into a C header of string constants: embed_text.py OUTPUT INPUT...

x/schema.sql becomes `static const char schema_sql[]`."""
import os
import sys

output, *inputs = sys.argv[1:]
with open(output, "w", encoding="utf-8") as header:
    for path in inputs:
        name = os.path.basename(path).replace(".", "_")
        header.write(f"static const char {name}[] =\n")
        with open(path, encoding="utf-8") as text:
            for line in text:
                escaped = line.rstrip("\n").replace("\\", "\\\\").replace('"', '\\"')
                header.write(f'    "{escaped}\\n"\n')
        header.write("    ;\n")
