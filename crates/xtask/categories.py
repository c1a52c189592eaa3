"""NAB score where the threshold of each category is the one that is best on the other categories.

Usage: categories.py FOLDER_OF_quality.py FOLDER_OF_NAB COMMAND

Prints one JSON object. The categories are the folders of the data; the rules of scoring and the way of running the command
are those of `quality.py`, whose functions are used. Nothing is chosen on the category that it is applied to, so the figure
says what a choice made on known data is worth on unknown data. Standard library only.
"""

import csv
import json
import sys
from pathlib import Path


def best_threshold(points, weights, sweep):
    """The threshold with the highest score; the strictest one where several have it."""
    return max(sweep(points, weights), key=lambda step: step[1])[0]


def score_at(threshold, points, weights, sweep):
    """The raw score when every alert at or above the threshold counts."""
    steps = sweep(points, weights)
    reached = steps[0][1]
    for step, raw in steps:
        if step >= threshold:
            reached = raw
    return reached


def main():
    folder, data, command = sys.argv[1:]
    sys.path.insert(0, folder)
    # The folder is read, never written.
    sys.dont_write_bytecode = True
    import quality

    data = Path(data)
    labels = json.loads((data / "windows.json").read_text())
    names = sorted(labels)
    categories = {}
    for name, rows in zip(names, quality.many(command, [(str(data / name), ()) for name in names])):
        with (data / name).open() as file:
            times = [row["timestamp"][:19] for row in csv.DictReader(file)]
        points = quality.nab_points(times, [alert for _, alert in rows], labels[name], name)
        categories.setdefault(name.split("/")[0], []).extend(points)

    weights = quality.PROFILES["standard"]
    raw, thresholds = 0.0, {}
    for left_out, points in categories.items():
        others = [point for name, rest in categories.items() if name != left_out for point in rest]
        threshold = best_threshold(others, weights, quality.nab_sweep)
        # Infinite where raising nothing is best; JSON has no word for it.
        thresholds[left_out] = threshold if threshold < float("inf") else None
        raw += score_at(threshold, points, weights, quality.nab_sweep)
    tp, _, fn = weights
    windows = sum(len(of_series) for of_series in labels.values())
    score = 100 * (raw + windows * fn) / (windows * (tp + fn))
    print(json.dumps({"score": round(score, 2), "thresholds": thresholds}))


if __name__ == "__main__":
    main()
