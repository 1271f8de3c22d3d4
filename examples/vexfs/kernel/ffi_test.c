// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs_ffi_test: the in-kernel API of vexfs, used from another module.
 *
 * Loading it runs the checks below on the collection at the parameter "path",
 * on a mounted vexfs; it is made if it isn't there.  The module stays loaded
 * only when all checks have passed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "vexfs_ffi.h"

#define DIMENSION	8
#define COUNT		600		/* vectors: more than two groups */
#define NEAREST		10
#define CELLS		5

static char *path;
module_param(path, charp, 0444);
MODULE_PARM_DESC(path, "A collection on a mounted vexfs, or the file to become one");

struct vexfs_ffi_test {
	struct file *file;
	u64 first;			/* id of the vectors that were inserted */
	s16 *components;		/* [COUNT][DIMENSION] of them */
	u64 deleted;			/* id of one that is gone again */
	struct vexfs_result results[NEAREST];
	struct vexfs_result expected[NEAREST];
};

/* Leaves the check with a reason unless @call returns @value. */
#define EXPECT(call, value)								\
do {											\
	long found = (call), wanted = (value);						\
											\
	if (found != wanted) {								\
		pr_info("%s is %ld, expected %ld\n", #call, found, wanted);		\
		return "another result than expected";					\
	}										\
} while (0)

/* The same numbers each time: the constants are Knuth's (MMIX). */
static s16 next_component(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state >> 48;
}

static const char *check_other_files(struct vexfs_ffi_test *test)
{
	struct file *other = filp_open("/dev/null", O_RDWR, 0);
	struct vexfs_ffi_info info;
	int error;

	if (IS_ERR(other))
		return "/dev/null can't be opened";
	error = vexfs_ffi_info(other, &info);
	filp_close(other, NULL);
	EXPECT(error, -ENOTTY);
	return NULL;
}

static const char *check_create(struct vexfs_ffi_test *test)
{
	struct vexfs_ffi_info info;
	int error;

	EXPECT(vexfs_ffi_create(test->file, 0, VEXFS_METRIC_L2), -EINVAL);
	EXPECT(vexfs_ffi_create(test->file, VEXFS_MAX_DIMENSION + 1, VEXFS_METRIC_L2), -EINVAL);
	EXPECT(vexfs_ffi_create(test->file, DIMENSION, 0), -EINVAL);
	error = vexfs_ffi_create(test->file, DIMENSION, VEXFS_METRIC_L2);
	if (error != -EEXIST)
		EXPECT(error, 0);
	EXPECT(vexfs_ffi_create(test->file, DIMENSION, VEXFS_METRIC_L2), -EEXIST);
	EXPECT(vexfs_ffi_info(test->file, &info), 0);
	EXPECT(info.dimension, DIMENSION);
	EXPECT(info.metric, VEXFS_METRIC_L2);
	return NULL;
}

static const char *check_insert(struct vexfs_ffi_test *test)
{
	struct vexfs_ffi_info before, after;
	u64 state = 1;
	u32 i;

	for (i = 0; i < COUNT * DIMENSION; i++)
		test->components[i] = next_component(&state);
	EXPECT(vexfs_ffi_info(test->file, &before), 0);
	EXPECT(vexfs_ffi_insert(test->file, test->components, DIMENSION, COUNT, &test->first), 0);
	EXPECT(test->first, before.ids);
	EXPECT(vexfs_ffi_info(test->file, &after), 0);
	EXPECT(after.ids, before.ids + COUNT);
	EXPECT(after.vectors, before.vectors + COUNT);
	return NULL;
}

static const char *check_insert_refusals(struct vexfs_ffi_test *test)
{
	struct vexfs_ffi_info before, after;
	u64 first;

	EXPECT(vexfs_ffi_info(test->file, &before), 0);
	EXPECT(vexfs_ffi_insert(test->file, test->components, DIMENSION - 1, 1, &first), -EINVAL);
	EXPECT(vexfs_ffi_insert(test->file, test->components, DIMENSION, 0, &first), -EINVAL);
	EXPECT(vexfs_ffi_insert(test->file, test->components, DIMENSION, VEXFS_MAX_INSERT + 1,
				&first), -EINVAL);
	EXPECT(vexfs_ffi_info(test->file, &after), 0);
	EXPECT(after.ids, before.ids);
	return NULL;
}

static const char *check_fetch(struct vexfs_ffi_test *test)
{
	s16 fetched[DIMENSION];
	u32 i;

	for (i = 0; i < COUNT; i++) {
		EXPECT(vexfs_ffi_fetch(test->file, test->first + i, fetched, DIMENSION), 0);
		if (memcmp(fetched, test->components + i * DIMENSION, sizeof(fetched)))
			return "a vector is not what was inserted";
	}
	EXPECT(vexfs_ffi_fetch(test->file, test->first + COUNT, fetched, DIMENSION), -ENOENT);
	EXPECT(vexfs_ffi_fetch(test->file, U64_MAX, fetched, DIMENSION), -ENOENT);
	EXPECT(vexfs_ffi_fetch(test->file, test->first, fetched, DIMENSION + 1), -EINVAL);
	return NULL;
}

static const char *check_delete(struct vexfs_ffi_test *test)
{
	struct vexfs_ffi_info before, after;
	s16 fetched[DIMENSION];

	test->deleted = test->first + COUNT / 2;
	EXPECT(vexfs_ffi_info(test->file, &before), 0);
	EXPECT(vexfs_ffi_delete(test->file, test->deleted), 0);
	EXPECT(vexfs_ffi_delete(test->file, test->deleted), -ENOENT);
	EXPECT(vexfs_ffi_delete(test->file, before.ids), -ENOENT);
	EXPECT(vexfs_ffi_fetch(test->file, test->deleted, fetched, DIMENSION), -ENOENT);
	EXPECT(vexfs_ffi_fetch(test->file, test->deleted + 1, fetched, DIMENSION), 0);
	EXPECT(vexfs_ffi_info(test->file, &after), 0);
	EXPECT(after.ids, before.ids);
	EXPECT(after.vectors, before.vectors - 1);
	return NULL;
}

/* Puts a vector among the expected ones, the nearest first, if it is near enough. */
static u32 expect_result(struct vexfs_ffi_test *test, u32 count, u64 id, u64 distance)
{
	u32 place = count;

	while (place && distance < test->expected[place - 1].distance)
		place--;
	if (place == NEAREST)
		return count;
	count = min(count + 1, (u32)NEAREST);
	memmove(&test->expected[place + 1], &test->expected[place],
		(count - 1 - place) * sizeof(*test->expected));
	test->expected[place] = (struct vexfs_result){ .id = id, .distance = distance };
	return count;
}

/* Fills in what a search must find, from every vector that can be fetched. */
static const char *expect_nearest(struct vexfs_ffi_test *test, const s16 *query, u32 *count)
{
	struct vexfs_ffi_info info;
	s16 fetched[DIMENSION];
	u64 id;

	*count = 0;
	EXPECT(vexfs_ffi_info(test->file, &info), 0);
	for (id = 0; id < info.ids; id++) {
		int error = vexfs_ffi_fetch(test->file, id, fetched, DIMENSION);
		u64 distance = 0;
		u32 i;

		if (error == -ENOENT)
			continue;
		EXPECT(error, 0);
		for (i = 0; i < DIMENSION; i++) {
			s64 difference = fetched[i] - query[i];

			distance += difference * difference;
		}
		*count = expect_result(test, *count, id, distance);
	}
	return NULL;
}

static const char *search_as_expected(struct vexfs_ffi_test *test, const s16 *query, u32 method,
				      u32 probes, u64 distances)
{
	struct vexfs_ffi_search search = {
		.query = query,
		.results = test->results,
		.dimension = DIMENSION,
		.k = NEAREST,
		.method = method,
		.probes = probes,
	};
	const char *why;
	u32 count;

	why = expect_nearest(test, query, &count);
	if (why)
		return why;
	EXPECT(vexfs_ffi_search(test->file, &search), 0);
	EXPECT(search.found, count);
	EXPECT(search.distances, distances);
	if (memcmp(test->results, test->expected, count * sizeof(*test->expected)))
		return "not the vectors that are nearest";
	return NULL;
}

static const char *check_search(struct vexfs_ffi_test *test)
{
	struct vexfs_ffi_info info;
	s16 query[DIMENSION];
	const char *why;
	u64 state = 2;
	u32 i;

	EXPECT(vexfs_ffi_info(test->file, &info), 0);
	for (i = 0; i < DIMENSION; i++)
		query[i] = next_component(&state);
	why = search_as_expected(test, query, VEXFS_SEARCH_EXACT, 0, info.vectors);
	if (why)
		return why;
	/* What was deleted would be the nearest. */
	return search_as_expected(test, test->components + COUNT / 2 * DIMENSION,
				  VEXFS_SEARCH_EXACT, 0, info.vectors);
}

static const char *check_search_refusals(struct vexfs_ffi_test *test)
{
	const struct vexfs_ffi_search good = {
		.query = test->components,
		.results = test->results,
		.dimension = DIMENSION,
		.k = NEAREST,
		.method = VEXFS_SEARCH_EXACT,
	};
	struct vexfs_ffi_search search = good;

	EXPECT(vexfs_ffi_search(test->file, &search), 0);
	search = good;
	search.k = 0;
	EXPECT(vexfs_ffi_search(test->file, &search), -EINVAL);
	search.k = VEXFS_MAX_RESULTS + 1;
	EXPECT(vexfs_ffi_search(test->file, &search), -EINVAL);
	search = good;
	search.dimension = DIMENSION + 1;
	EXPECT(vexfs_ffi_search(test->file, &search), -EINVAL);
	search = good;
	search.method = 0;
	EXPECT(vexfs_ffi_search(test->file, &search), -EINVAL);
	search = good;
	search.probes = 1;
	EXPECT(vexfs_ffi_search(test->file, &search), -EINVAL);
	search.method = VEXFS_SEARCH_INDEX;
	EXPECT(vexfs_ffi_index(test->file, 0, 0, 0), 0);
	EXPECT(vexfs_ffi_search(test->file, &search), -ENODATA);
	return NULL;
}

static const char *check_index(struct vexfs_ffi_test *test)
{
	struct vexfs_ffi_info info;
	const char *why;
	u64 first;

	EXPECT(vexfs_ffi_index(test->file, CELLS, 0, 1), -EINVAL);
	EXPECT(vexfs_ffi_index(test->file, VEXFS_MAX_CELLS + 1, 1, 1), -EINVAL);
	EXPECT(vexfs_ffi_index(test->file, CELLS, 10, 1), 0);
	/* With all cells it is an exact search, and it has to know of later changes. */
	EXPECT(vexfs_ffi_insert(test->file, test->components, DIMENSION, 2, &first), 0);
	EXPECT(vexfs_ffi_delete(test->file, first + 1), 0);
	EXPECT(vexfs_ffi_info(test->file, &info), 0);
	EXPECT(info.cells, CELLS);
	why = search_as_expected(test, test->components, VEXFS_SEARCH_INDEX, CELLS,
				 info.vectors + CELLS);
	if (why)
		return why;
	EXPECT(vexfs_ffi_index(test->file, 0, 0, 0), 0);
	EXPECT(vexfs_ffi_info(test->file, &info), 0);
	EXPECT(info.cells, 0);
	return NULL;
}

static const char *check_read_only(struct vexfs_ffi_test *test)
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	int insert, delete, index, fetch;
	s16 fetched[DIMENSION];
	u64 first;

	if (IS_ERR(file))
		return "it can't be opened read-only";
	insert = vexfs_ffi_insert(file, test->components, DIMENSION, 1, &first);
	delete = vexfs_ffi_delete(file, test->first);
	index = vexfs_ffi_index(file, 0, 0, 0);
	fetch = vexfs_ffi_fetch(file, test->first, fetched, DIMENSION);
	filp_close(file, NULL);
	EXPECT(insert, -EBADF);
	EXPECT(delete, -EBADF);
	EXPECT(index, -EBADF);
	EXPECT(fetch, 0);
	return NULL;
}

static const struct {
	const char *name;
	const char *(*run)(struct vexfs_ffi_test *test);
} checks[] = {
	{ "other_files", check_other_files },
	{ "create", check_create },
	{ "insert", check_insert },
	{ "insert_refusals", check_insert_refusals },
	{ "fetch", check_fetch },
	{ "delete", check_delete },
	{ "search", check_search },
	{ "search_refusals", check_search_refusals },
	{ "index", check_index },
	{ "read_only", check_read_only },
};

static int run_checks(struct vexfs_ffi_test *test)
{
	unsigned int i, passed = 0;

	for (i = 0; i < ARRAY_SIZE(checks); i++) {
		const char *why = checks[i].run(test);

		if (why) {
			pr_err("not ok %s: %s\n", checks[i].name, why);
		} else {
			pr_info("ok %s\n", checks[i].name);
			passed++;
		}
	}
	pr_info("%u of %zu passed\n", passed, ARRAY_SIZE(checks));
	return passed == ARRAY_SIZE(checks) ? 0 : -EINVAL;
}

static int __init vexfs_ffi_test_init(void)
{
	struct vexfs_ffi_test *test;
	int error = -ENOMEM;

	if (!path) {
		pr_err("the parameter \"path\" is missing: a file on a mounted vexfs\n");
		return -EINVAL;
	}
	test = kzalloc(sizeof(*test), GFP_KERNEL);
	if (!test)
		return -ENOMEM;
	test->components = kcalloc(COUNT * DIMENSION, sizeof(*test->components), GFP_KERNEL);
	if (!test->components)
		goto out;
	test->file = filp_open(path, O_RDWR | O_CREAT, 0600);
	if (IS_ERR(test->file)) {
		/* As it is, insmod would take the error for one of its own. */
		pr_err("%s can't be opened: error %ld\n", path, PTR_ERR(test->file));
		error = -EINVAL;
		goto out;
	}
	error = run_checks(test);
	filp_close(test->file, NULL);
out:
	kfree(test->components);
	kfree(test);
	return error;
}

static void __exit vexfs_ffi_test_exit(void)
{
}

module_init(vexfs_ffi_test_init);
module_exit(vexfs_ffi_test_exit);

MODULE_DESCRIPTION("Checks of the in-kernel API of vexfs");
MODULE_AUTHOR("the vexlab authors");
MODULE_LICENSE("GPL");
