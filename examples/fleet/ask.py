#!/usr/bin/env python3
"""Asks DuckDB about all traces of a fleet at once: Parquet files below a folder, version=N/….parquet.

    pip install duckdb
    examples/fleet/ask.py FOLDER
"""

import sys

import duckdb

QUESTIONS = {
    "How large are the runs of each version?": """
        SELECT version, count(*) AS runs, median(peak)::BIGINT AS median_peak_bytes, max(peak)::BIGINT AS max_peak_bytes
        FROM (SELECT version, filename, sum(peak_bytes) AS peak FROM traces GROUP BY ALL) GROUP BY version ORDER BY version""",
    "Which lines hold more at the peak than in the version before?": """
        WITH runs AS (SELECT version, count(DISTINCT filename) AS runs FROM traces GROUP BY version),
             lines AS (SELECT version, function, line, sum(peak_bytes) / any_value(runs) AS bytes
                       FROM traces JOIN runs USING (version) WHERE origin = 'user' GROUP BY version, function, line)
        SELECT function, line, coalesce(old.bytes, 0)::BIGINT AS before, new.bytes::BIGINT AS now
        FROM lines AS new LEFT JOIN (SELECT * REPLACE (version + 1 AS version) FROM lines) AS old USING (version, function, line)
        WHERE new.bytes > 1.2 * coalesce(old.bytes, 0) AND new.version > 1 ORDER BY now - before DESC LIMIT 3""",
    "How much does each version allocate on the way through count_words, per run?": """
        SELECT version, (sum(allocated_bytes) / any_value(runs))::BIGINT AS allocated_bytes
        FROM traces JOIN (SELECT version, count(DISTINCT filename) AS runs FROM traces GROUP BY version) USING (version)
        WHERE list_contains([frame.function FOR frame IN frames], 'count_words') GROUP BY version ORDER BY version""",
}


def main():
    duckdb.sql(f"CREATE VIEW traces AS FROM read_parquet('{sys.argv[1]}/*/*.parquet', hive_partitioning = true, filename = true)")
    for question, query in QUESTIONS.items():
        print(question)
        print(duckdb.sql(query))


main()
