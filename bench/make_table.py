"""Writes a table of posts, seven columns of texts, whole numbers and numbers, the same bytes each time.

`make_table.py FILE ROWS` gives every row an id and the name of a photo of its own, and 6 % of them no ratio.
"""

import csv
import random
import sys

WORDS = """amazing autumn bear bird blue cat cloud dawn deer desert dog evening falls field fire flower forest fox frog
garden golden green hidden hill horse island lake leaf light little lonely meadow mist moon morning mountain mushroom
national night oak ocean old owl park peak pine pond rain red ridge river road rock rose sea shore silent sky snow
spring star storm stream summer sunset swan tiny trail tree valley view village violet waterfall wave white wild
willow wind winter wolf wood yellow""".split()


def main():
    path, rows = sys.argv[1], int(sys.argv[2])
    numbers = random.Random(20221129)
    with open(path, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["id", "title", "num_comments", "score", "ratio", "img_name", "choice"])
        for at in range(rows):
            title = " ".join(numbers.choices(WORDS, k=numbers.randint(3, 9)))
            if numbers.random() < 0.05:
                # A comma is quoted, and so is a quote.
                title += ', the "real" one'
            ratio = "" if numbers.random() < 0.06 else f"{numbers.random():.3f}"
            choice = numbers.choices(["fauna", "flora", "landscape"], weights=[40, 33, 27])[0]
            name = f"id{at:06x}"
            comments, score = int(numbers.expovariate(1 / 40)), int(numbers.lognormvariate(6, 1.5))
            table.writerow([name, title, comments, score, ratio, f"{name}.jpg", choice])


if __name__ == "__main__":
    main()
