"""What scikit-learn's logistic regression makes of the features that natureddit's head learns from.

`logistic_regression.py judge FOLDER` reads what the example `judge` wrote, learns the very same folds, and judges both.
`logistic_regression.py retrain FOLDER` learns the rows that the example `retrain` made, and judges both on those kept back.

Both print one JSON object. The reference learns all that is outside a fold, also those rows that stop natureddit's training.
It is tried with C = 1 and with the best C of a grid, chosen by an inner cross-validation (or the eval rows), on features as
they are and standardised; the best of the four is the one to stand beside. Intervals are of the paired bootstrap over groups.
"""

import argparse
import csv
import functools
import json
import multiprocessing
import pathlib
import time

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

CLASSES = 3
FEATURES = 1280 + 384
GRIDS = {"raw": (0.1, 1.0, 10.0, 100.0), "standardised": (1e-4, 1e-3, 1e-2, 1e-1, 1.0)}
RETRAIN_GRID = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
INNER_FOLDS = 3
RESAMPLES = 2000
# As in Guo et al. 2017.
BINS = 15


def macro_f1(truth, answers):
    return float(f1_score(truth, answers, labels=range(CLASSES), average="macro"))


def expected_calibration_error(truth, probabilities):
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    place = numpy.minimum((confidence * BINS).astype(int), BINS - 1)
    apart = [abs(right[place == at].sum() - confidence[place == at].sum()) for at in range(BINS)]
    return float(sum(apart) / len(truth))


def confusions(truth, answers, groups):
    """[groups, truths, answers]: how often, over all ways to deal."""
    counts = numpy.zeros((groups.max() + 1, CLASSES, CLASSES))
    for one in answers:
        numpy.add.at(counts, (groups, truth, one), 1)
    return counts


def macro_f1_of(confusion):
    hits = numpy.diagonal(confusion, axis1=-2, axis2=-1)
    return (2 * hits / (confusion.sum(axis=-1) + confusion.sum(axis=-2))).mean(axis=-1)


def interval(truth, ours, theirs, groups):
    """Of the difference of the macro-F1, ours less theirs, 95 %; every resample is of whole groups."""
    rng = numpy.random.default_rng(1)
    count = groups.max() + 1
    pairs = [confusions(truth, answers, groups).reshape(count, -1) for answers in (ours, theirs)]
    differences = []
    for _ in range(RESAMPLES):
        drawn = numpy.bincount(rng.integers(count, size=count), minlength=count)
        one, other = (macro_f1_of((drawn @ counts).reshape(CLASSES, CLASSES)) for counts in pairs)
        differences.append(one - other)
    return [float(end) for end in numpy.quantile(differences, (0.025, 0.975))]


def learn(c, features, classes):
    return LogisticRegression(C=c, max_iter=3000).fit(features, classes)


def best_c(grid, features, classes, groups):
    """By the mean accuracy over the inner folds; of equal ones the smaller, which is the simpler model."""
    scores = numpy.zeros(len(grid))
    for inner, outer in GroupKFold(INNER_FOLDS).split(features, classes, groups):
        for at, c in enumerate(grid):
            scores[at] += learn(c, features[inner], classes[inner]).score(features[outer], classes[outer])
    return grid[int(scores.argmax())]


def answer_fold(features, classes, groups, with_grid, folds_and_fold):
    """What each reference says of the posts of a fold."""
    folds, fold = folds_and_fold
    held, told = folds == fold, folds != fold
    answers = {}
    for form, grid in GRIDS.items():
        seen, asked = features[told], features[held]
        if form == "standardised":
            scaler = StandardScaler().fit(seen)
            seen, asked = scaler.transform(seen), scaler.transform(asked)
        answers[f"{form}, C = 1"] = learn(1.0, seen, classes[told]).predict(asked)
        if with_grid:
            c = best_c(grid, seen, classes[told], groups[told])
            answers[f"{form}, grid"] = learn(c, seen, classes[told]).predict(asked)
    return answers


def reference(pool, features, classes, groups, folds, with_grid=True):
    """The answers of each reference to every post."""
    answer = functools.partial(answer_fold, features, classes, groups, with_grid)
    numbers = sorted(set(folds))
    whole = {}
    for fold, answers in zip(numbers, pool.map(answer, [(folds, fold) for fold in numbers], chunksize=1)):
        for name, values in answers.items():
            whole.setdefault(name, numpy.zeros(len(classes), int))[folds == fold] = values
    return whole


def read_posts(folder):
    with open(folder / "posts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    classes = numpy.array([int(row["class"]) for row in rows])
    names = sorted({row["group"] for row in rows})
    groups = numpy.array([names.index(row["group"]) for row in rows])
    deals = {name: numpy.array([int(row[name]) for row in rows]) for name in rows[0] if name not in ("class", "group")}
    features = numpy.fromfile(folder / "features.f32", "<f4").reshape(len(rows), FEATURES)
    return features, classes, groups, deals


def read_answers(folder, count):
    """{(learnt, asked): {deal: [posts, classes]}}."""
    answers = {}
    with open(folder / "answers.csv", newline="") as file:
        for deal, post, learnt, asked, *probabilities in csv.reader(file):
            of = answers.setdefault((learnt, asked), {})
            table = of.setdefault(deal, numpy.full((count, CLASSES), numpy.nan))
            table[int(post)] = [float(probability) for probability in probabilities]
    for of in answers.values():
        assert not any(numpy.isnan(table).any() for table in of.values()), "every post is answered once"
    return answers


def judge(folder):
    features, classes, groups, deals = read_posts(folder)
    answers = read_answers(folder, len(classes))
    seeds = [name for name in deals if name.startswith("seed")]
    with multiprocessing.Pool(2) as pool:
        theirs = [reference(pool, features, classes, groups, deals[seed]) for seed in seeds]
        by_source = reference(pool, features, classes, groups, deals["source"], with_grid=False)

    def said(learnt, asked):
        return [answers[learnt, asked][seed].argmax(axis=1) for seed in seeds]

    def mean_f1(all_answers):
        return float(numpy.mean([macro_f1(classes, one) for one in all_answers]))

    references = {name: mean_f1([of[name] for of in theirs]) for name in theirs[0]}
    best = max(references, key=references.get)
    plain, more = said("both", "both"), said("both and titles", "both")

    def beside(ours, others):
        difference = mean_f1(ours) - mean_f1(others)
        low, high = interval(classes, ours, others, groups)
        return {"difference": difference, "low": low, "high": high}

    def error(learnt):
        of = answers[learnt, "both"]
        return float(numpy.mean([expected_calibration_error(classes, of[seed]) for seed in seeds]))

    def alone(both, part_learnt, part):
        whole, own = mean_f1(said(both, part)), mean_f1(said(part_learnt, part))
        return {"of_both": whole, "alone": own, "difference": whole - own}

    return {
        "posts": len(classes),
        "groups": int(groups.max()) + 1,
        "ours": mean_f1(plain),
        "ours_with_titles": mean_f1(more),
        "references": references,
        "best_reference": best,
        "beside_reference": beside(plain, [of[best] for of in theirs]),
        "beside_reference_with_titles": beside(more, [of[best] for of in theirs]),
        "titles_beside_none": beside(more, plain),
        "ece": error("both"),
        "ece_with_titles": error("both and titles"),
        "title": alone("both", "title", "title"),
        "photo": alone("both", "photo", "photo"),
        "title_with_titles": alone("both and titles", "title and titles", "title"),
        "photo_with_titles": alone("both and titles", "photo", "photo"),
        "by_source": {
            "ours": macro_f1(classes, answers["both", "both"]["source"].argmax(axis=1)),
            "ours_with_titles": macro_f1(classes, answers["both and titles", "both"]["source"].argmax(axis=1)),
            "reference": max(macro_f1(classes, answers) for answers in by_source.values()),
        },
    }


def retrain(folder):
    def split(name):
        classes = numpy.fromfile(folder / f"{name}.u8", "u1")
        return numpy.fromfile(folder / f"{name}.f32", "<f4").reshape(len(classes), FEATURES), classes

    (train, told), (evaluated, eval_classes), (test, truth) = (split(name) for name in ("train", "eval", "test"))
    ours = numpy.fromfile(folder / "answers.u8", "u1")
    found = {}
    for c in RETRAIN_GRID:
        began = time.perf_counter()
        model = learn(c, train, told)
        seconds = time.perf_counter() - began
        found[c] = {
            "seconds": seconds,
            "eval": macro_f1(eval_classes, model.predict(evaluated)),
            "answers": model.predict(test),
        }
    chosen = max(found, key=lambda c: found[c]["eval"])

    def beside(c):
        theirs = found[c]["answers"]
        low, high = interval(truth, [ours], [theirs], numpy.arange(len(truth)))
        f1 = macro_f1(truth, theirs)
        difference = macro_f1(truth, ours) - f1
        return {"c": c, "seconds": found[c]["seconds"], "f1": f1, "difference": difference, "low": low, "high": high}

    return {"ours": macro_f1(truth, ours), "plain": beside(1.0), "best": beside(chosen)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("judge", "retrain"))
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    print(json.dumps({"judge": judge, "retrain": retrain}[arguments.what](arguments.folder)))


if __name__ == "__main__":
    main()
