"""Which suites and cases are wanted, and in which order; the same rules as on the host."""

import hashlib
import random
from fnmatch import fnmatchcase

from .failure import Exit, Failure

LARGEST_SEED = 2**32 - 1


def add_options(parser):
    parser.add_argument("suites", nargs="*", metavar="suite", help="only these; default: all")
    parser.add_argument(
        "--case", action="append", default=[], metavar="PATTERN", help="only cases with such a name"
    )
    parser.add_argument(
        "--tag", action="append", default=[], metavar="NAME", help="only cases with this tag"
    )
    parser.add_argument("--order", choices=["manifest", "random"], default="manifest")
    parser.add_argument("--seed", type=int, help="of a random order; the same gives the same order")


def check(options):
    """Mistakes in the options; a random order without a seed gets one."""
    if options.seed is not None and options.order != "random":
        raise Failure(Exit.USAGE, "--seed is only for --order random")
    if options.seed is None and options.order == "random":
        options.seed = random.randrange(LARGEST_SEED)
    if options.seed is not None and not 0 <= options.seed <= LARGEST_SEED:
        raise Failure(Exit.USAGE, f"--seed: a number from 0 to {LARGEST_SEED}, not {options.seed}")


def chosen(manifest, options):
    """The suites that are wanted, in their order."""
    check(options)
    known = [suite.name for suite in manifest.suites]
    patterns = options.suites
    unknown = [
        pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in known)
    ]
    if unknown:
        raise Failure(
            Exit.USAGE, f"no such suite: {', '.join(unknown)}; there are: {', '.join(known)}"
        )
    suites = [
        suite
        for suite in manifest.suites
        if not patterns or any(fnmatchcase(suite.name, pattern) for pattern in patterns)
    ]
    if options.seed is None:
        return suites
    print(f"random order, seed {options.seed}")
    return sorted(suites, key=lambda suite: order_key(options.seed, suite.name))


def order_key(seed, name):
    return hashlib.sha256(f"{seed} {name}".encode()).hexdigest()


def environment(options):
    """What a suite finds in its environment, so that it can leave out the others itself."""
    variables = {
        "VEXLAB_CASES": "\n".join(options.case),
        "VEXLAB_TAGS": " ".join(options.tag),
        "VEXLAB_SEED": "" if options.seed is None else str(options.seed),
    }
    return {name: value for name, value in variables.items() if value}


def selects(options, name, tags):
    return (not options.case or any(fnmatchcase(name, pattern) for pattern in options.case)) and (
        not options.tag or any(tag in tags for tag in options.tag)
    )


def unmatched(options, counters):
    """One sentence for each pattern and tag that fits no case."""
    cases = [case for counter in counters for case in counter.cases]
    patterns = [p for p in options.case if not any(fnmatchcase(name, p) for name, _ in cases)]
    tags = [t for t in options.tag if not any(t in own for _, own in cases)]
    return [f"no case has a name like '{pattern}'" for pattern in patterns] + [
        f"no case has the tag {tag}" for tag in tags
    ]
