#!/usr/bin/env python3
"""Rewrites the expectations of golden scripts with what PostgreSQL says.

    pip install 'psycopg[binary]'
    python3 tests/golden/from_postgres.py 'host=/tmp dbname=postgres' tests/golden/chinook.txt ..

Each script runs in an empty schema, its connections at REPEATABLE READ (which is PostgreSQL's
snapshot isolation). Two things cannot come from there and are reasoned out instead; look at the
difference and keep ours:

- PostgreSQL lets the second writer of a row wait, Remora lets it lose at once. Here the waiting
  shows as 55P03 (lock timeout); the expectation is 40001.
- `!directory` and `!reopen` say nothing to PostgreSQL: connections are closed and opened.
"""

import pathlib
import re
import sys
import tempfile

import psycopg

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
SCHEMA = "remora_golden"


class Stage:
    def __init__(self, server, folder):
        self.server, self.folder, self.connections = server, folder, {}
        with psycopg.connect(server, autocommit=True) as conn:
            conn.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
            conn.execute(f"CREATE SCHEMA {SCHEMA}")

    def connection(self, label):
        if label not in self.connections:
            conn = psycopg.connect(self.server, autocommit=True)
            conn.execute(f"SET search_path = {SCHEMA}")
            conn.execute("SET default_transaction_isolation = 'repeatable read'")
            conn.execute("SET lock_timeout = '300ms'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'")
            self.connections[label] = conn
        return self.connections[label]

    def close(self):
        for conn in self.connections.values():
            conn.close()
        self.connections = {}

    def run(self, label, text):
        shown = []
        for sql in statements(text.replace("{dir}", self.folder).replace("{data}", str(DATA))):
            try:
                lines, failed = self.rows(label, sql), False
            except psycopg.Error as error:
                lines = [f"ERROR {error.sqlstate}: {error.diag.message_primary}"]
                if error.diag.message_detail:
                    lines.append(f"DETAIL: {error.diag.message_detail}")
                failed = True
            shown += [f"{label}: {line.replace(self.folder, '{dir}')}".rstrip() for line in lines]
            if failed:
                break
        return shown

    def rows(self, label, sql):
        conn = self.connection(label)
        copied = re.match(r"(?is)copy\s+(.*?)\s+(from|to)\s+'([^']*)'(.*)$", sql)
        if copied:
            what, way, path, options = copied.groups()
            with conn.cursor() as cursor:
                if way.lower() == "from":
                    with cursor.copy(f"COPY {what} FROM STDIN {options}") as copy:
                        copy.write(pathlib.Path(path).read_bytes())
                else:
                    with cursor.copy(f"COPY {what} TO STDOUT {options}") as copy:
                        pathlib.Path(path).write_bytes(b"".join(bytes(part) for part in copy))
            return []
        # The wire protocol's text form, untouched by the driver's types.
        result = conn.pgconn.exec_(sql.encode())
        status = psycopg.pq.ExecStatus(result.status)
        if status == psycopg.pq.ExecStatus.FATAL_ERROR:
            raise psycopg.errors.error_from_result(result, "utf-8")
        if status != psycopg.pq.ExecStatus.TUPLES_OK:
            return []
        if result.ntuples == 0:
            return ["(no rows)"]
        cell = lambda value: "NULL" if value is None else value.decode().replace("\n", "\\n")
        return [
            " | ".join(cell(result.get_value(row, column)) for column in range(result.nfields))
            for row in range(result.ntuples)
        ]


def statements(text):
    pieces, quote, start = [], None, 0
    for at, c in enumerate(text):
        if quote is None and c in "'\"":
            quote = c
        elif quote == c:
            quote = None
        if quote is None and c == ";":
            pieces.append(text[start:at])
            start = at + 1
    return [piece.strip() for piece in pieces + [text[start:]] if piece.strip()]


def rewrite(server, path):
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(server, folder)
        out = []
        for block in re.split(r"\n\s*\n", path.read_text().strip("\n")):
            head, steps = [], []
            for line in block.split("\n"):
                if line == "---":
                    break
                head.append(line)
                if line.startswith("   ") and steps:
                    steps[-1][1].append(line[3:])
                elif not line.startswith("#") and line != "!directory":
                    kind, _, rest = line.partition(" ")
                    steps.append((kind, [rest]))
            shown = []
            for kind, lines in steps:
                if kind == "!reopen":
                    stage.close()
                elif kind == "!file":
                    pathlib.Path(folder, lines[0]).write_text("".join(f"{line}\n" for line in lines[1:]))
                else:
                    shown += stage.run(kind.rstrip(">"), "\n".join(lines))
            out.append("\n".join(head + (["---"] + shown if shown else [])))
        stage.close()
        path.write_text("\n\n".join(out) + "\n")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        rewrite(sys.argv[1], pathlib.Path(name))
