"""Times TensorFlow Data Validation on a table.

`tfdv_statistics.py FILE RUNS` reads the CSV file so many times in one process, importing not counted, and prints as JSON
the seconds of each time, and the examples and unique values it found.
"""

import json
import sys
import time

import tensorflow_data_validation as tfdv


def main():
    path, runs = sys.argv[1], int(sys.argv[2])
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        statistics = tfdv.generate_statistics_from_csv(path)
        seconds.append(time.perf_counter() - start)
    dataset = statistics.datasets[0]
    uniques = {
        feature.path.step[0]: feature.string_stats.unique
        for feature in dataset.features
        if feature.HasField("string_stats")
    }
    print(json.dumps({"seconds": seconds, "examples": dataset.num_examples, "uniques": uniques}))


if __name__ == "__main__":
    main()
