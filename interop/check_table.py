"""Reads data/posts.csv with pandas and with Python's csv module: both must see the same rows and the files they name."""

import hashlib

import pandas

from project import Checks, Project

# The columns of the original system first, with its names, then ours.
COLUMNS = (
    "author created_utc full_link id subreddit title url img_name source flair over_18 width height sha256 phash"
).split()


def main():
    project = Project(__doc__)
    checks = Checks()
    rows = project.posts()
    frame = pandas.read_csv(project.posts_csv, dtype=str, keep_default_na=False)

    checks.equal("columns", list(frame.columns), COLUMNS)
    checks.equal("rows", len(frame), len(rows))
    for row, read in zip(rows, frame.to_dict("records")):
        for column in COLUMNS:
            checks.equal(f"{row['id']}.{column}", read[column], row[column])

    check_titles(checks, rows)
    check_photos(checks, project, rows)
    check_types(checks, project, rows)
    checks.end()


def check_titles(checks, rows):
    """That the rows compared above hold what breaks careless readers."""
    titles = [row["title"] for row in rows]
    for what, is_hard in [
        ("a comma", lambda title: "," in title),
        ("a quote", lambda title: '"' in title),
        ("a character outside ASCII", lambda title: not title.isascii()),
        ("a character outside the Basic Multilingual Plane", lambda title: any(ord(c) > 0xFFFF for c in title)),
    ]:
        checks.true(f"no title holds {what}", any(map(is_hard, titles)))
    with_line_break = sum("\n" in title for title in titles)
    print(f"{len(titles)} titles, {with_line_break} with a line break")


def check_photos(checks, project, rows):
    """That each row names a file, no two the same, with the hash it gives."""
    checks.equal("distinct img_name", len({row["img_name"] for row in rows}), len(rows))
    for row in rows:
        found = hashlib.sha256(project.photo(row).read_bytes()).hexdigest()
        checks.equal(f"{row['img_name']}: sha256", found, row["sha256"])


def check_types(checks, project, rows):
    """That pandas, left to guess, takes numbers for numbers and truth values for truth values, and reads the moments,
    which the original system wrote as text, as moments."""
    frame = pandas.read_csv(project.posts_csv)
    for column, kind in [("width", "i"), ("height", "i"), ("over_18", "b")]:
        checks.equal(f"{column}: kind", frame[column].dtype.kind, kind)
    checks.equal("sum of widths", int(frame["width"].sum()), sum(int(row["width"]) for row in rows))
    moments = pandas.to_datetime(frame["created_utc"])
    for moment, row in zip(moments, rows):
        checks.equal(f"{row['id']}: created_utc", moment.isoformat(), row["created_utc"])


if __name__ == "__main__":
    main()
