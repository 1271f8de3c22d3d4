"""Distances of kernel/uapi/vexfs.h by python's integers, which have no size: makes vectors, queries
and the results that an exact search has to find.

usage: definition.py METRIC DIMENSION FOLDER: writes vectors, and for each query N (a line of queries)
what `vexctl search -k 5` prints to found.N.
"""

import math
import os
import random
import sys

ONE = 1 << 20


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


class Point:
    def __init__(self, components):
        self.components = components
        self.r = math.isqrt(dot(components, components) << 22)


def distance(metric, a, b):
    if metric == "l2":
        return sum((x - y) ** 2 for x, y in zip(a.components, b.components))
    if a.r * b.r == 0:
        return ONE
    both = dot(a.components, b.components)
    s = min((abs(both) << 42) // (a.r * b.r), ONE)
    return ONE - s if both >= 0 else ONE + s


def vectors_of(dimension):
    """Some that are known for trouble, and others."""
    draw = random.Random(dimension)
    low, high = [-32768] * dimension, [32767] * dimension
    known = [low, high, [0] * dimension, [1] * dimension, [-1] * dimension, high, low]
    known.append([(-32768, 32767)[at % 2] for at in range(dimension)])
    small = [[draw.randint(-2, 2) for _ in range(dimension)] for _ in range(12)]
    wide = [[draw.randint(-32768, 32767) for _ in range(dimension)] for _ in range(12)]
    return known + small + wide


def text(vector):
    return " ".join(map(str, vector)) + "\n"


def main(metric, dimension, folder):
    vectors = vectors_of(int(dimension))
    queries = vectors[:3] + vectors[7:9]
    with open(os.path.join(folder, "vectors"), "w") as file:
        file.writelines(map(text, vectors))
    with open(os.path.join(folder, "queries"), "w") as file:
        file.writelines(map(text, queries))
    points = list(map(Point, vectors))
    for number, query in enumerate(map(Point, queries)):
        nearest = sorted((distance(metric, query, one), id) for id, one in enumerate(points))
        with open(os.path.join(folder, f"found.{number}"), "w") as file:
            file.writelines(f"{id}\t{far}\n" for far, id in nearest[:5])
            file.write(f"# {len(vectors)} distances\n")


main(*sys.argv[1:])
