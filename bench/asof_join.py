"""The joins of bench/timeline in DuckDB, one thread: ASOF joins of the application's rows with a copied table of changes.

asof_join.py DIR RUNS - reads DIR/change.csv (flag, at, enabled, value) and DIR/app.csv (flag, created_at), prints for
each query its name, the median of its CPU in us and its answer.  Copying the tables in is not counted.
"""
import statistics
import sys
import time

import duckdb

QUERIES = {
    "duckdb_one": """SELECT count(*) FROM app ASOF JOIN (SELECT * FROM change WHERE flag = 'flag_1') c ON app.created_at >= c.at
        WHERE c.enabled""",
    "duckdb_each": """SELECT count(*) FROM app ASOF JOIN change c ON app.flag = c.flag AND app.created_at >= c.at
        WHERE c.enabled""",
    "duckdb_value": "SELECT count(c.value) FROM app ASOF JOIN change c ON app.flag = c.flag AND app.created_at >= c.at",
}


def main():
    folder, runs = sys.argv[1], int(sys.argv[2])
    db = duckdb.connect(config={"threads": 1})
    db.execute("SET TimeZone = 'UTC'")
    db.execute(f"""CREATE TABLE change AS SELECT * FROM read_csv('{folder}/change.csv', header = false,
        columns = {{'flag': 'VARCHAR', 'at': 'TIMESTAMPTZ', 'enabled': 'BOOLEAN', 'value': 'VARCHAR'}})""")
    db.execute(f"""CREATE TABLE app AS SELECT * FROM read_csv('{folder}/app.csv', header = false,
        columns = {{'flag': 'VARCHAR', 'created_at': 'TIMESTAMPTZ'}})""")
    for name, query in QUERIES.items():
        times = []
        for run in range(runs + 1):
            before = time.process_time()
            answer = db.execute(query).fetchone()[0]
            times.append(time.process_time() - before)
        # the first run is not counted
        print(name, round(statistics.median(times[1:]) * 1e6), answer)


main()
