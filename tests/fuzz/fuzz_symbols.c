/* Fuzz target: any bytes as an ELF file whose functions and lines are asked for, and as a name to be demangled. The files that a trace names
 * may be anything by the time it is read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demangle.h"
#include "fuzz.h"
#include "symbolize.h"

#define HIGHEST_ADDRESS 0x6000
#define STEP 23

static void require(int condition)
{
    if (!condition)
        abort();
}

static size_t length_of(const char *text)
{
    return text ? strlen(text) : 0;
}

static void look_up(const uint8_t *data, size_t size)
{
    char path[64];
    int file = memfd_create("fuzz", MFD_CLOEXEC);
    require(file >= 0 && write(file, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct symbolizer *symbolizer = symbolizer_open(path, "", NULL);
    require(symbolizer != NULL);
    for (uint64_t address = 0; address < HIGHEST_ADDRESS; address += STEP) {
        const struct symbol *symbols;
        size_t count = symbolizer_find(symbolizer, address, &symbols), bytes = 0;
        for (size_t i = 0; i < count; i++) {
            bytes += length_of(symbols[i].function) + length_of(symbols[i].file);
            require(symbols[i].file || !symbols[i].line);
        }
        require(bytes < 1u << 30);
    }
    symbolizer_close(symbolizer);
    close(file);
}

static void demangle_name(const uint8_t *data, size_t size)
{
    char name[1024];
    size_t bytes = size < sizeof name - 1 ? size : sizeof name - 1;
    memcpy(name, data, bytes);
    name[bytes] = 0;
    free(demangle(name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    look_up(data, size);
    demangle_name(data, size);
    return 0;
}

void fuzz_make_seeds(void)
{
    static const char *const names[] = {
        "_ZNSt6vectorIiSaIiEE17_M_realloc_insertIJiEEEvN9__gnu_cxx17__normal_iteratorIPiS1_EEDpOT_",
        "_ZN4core3ptr85drop_in_place$LT$std..rt..lang_start$LT$$LP$$RP$$GT$..$u7b$$u7b$closure$u7d$$u7d$$GT$17h0123456789abcdefE",
        "_RNvNtCs1234_7mycrate3foo3bar", "_RINvNtC3std3mem8align_ofdE", "_RNvMs_NtCs4fqI2P2rA04_4core3fmtNtB5_9Formatter3pad",
        "_RINvMsY_NtCseXNvpPnDBDp_3std4pathNtB6_4Path3neweECs7xqdtQ7oV7X_9ls_colors", "_RYNtC1a1bNtC1a1c", "_RNCNvC4main4mains_0B3_",
        "_ZN5alloc3vec12Vec$LT$T$GT$4push17hfedcba9876543210E", "main", "_Z", "_R", "_ZN",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        fuzz_add_seed((const uint8_t *)names[i], strlen(names[i]));
}
