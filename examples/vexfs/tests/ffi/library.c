// SPDX-License-Identifier: GPL-2.0-only
/* libvexfs_ffi on a mounted vexfs. */
#include <errno.h>
#include <fcntl.h>

#include "cases.h"
#include "vexfs_ffi.h"

#define DIMENSION	9
#define VECTORS		300
#define NEAREST		20

static void case_life(void)
{
	__s16 vectors[3][2] = { { 3, 4 }, { 0, -1 }, { 32767, -32768 } };
	struct vexfs_result results[3] = { { 0 } };
	struct vexfs_ioc_info info;
	__s16 vector[2] = { 0 };
	__u64 first, distances;
	int file;

	file = vexfs_create("c", 2, VEXFS_METRIC_L2);
	EXPECT_TRUE(file >= 0);
	EXPECT(FD_CLOEXEC, fcntl(file, F_GETFD));
	EXPECT(-EEXIST, vexfs_create("c", 2, VEXFS_METRIC_L2));
	EXPECT(0, vexfs_insert(file, vectors[0], 2, 3, &first));
	EXPECT(0, first);
	EXPECT(0, vexfs_insert(file, vectors[0], 2, 1, NULL));
	EXPECT(0, vexfs_delete(file, 3));
	EXPECT(-ENOENT, vexfs_delete(file, 3));
	EXPECT(0, vexfs_close(file));

	file = vexfs_open("c", O_RDONLY);
	EXPECT_TRUE(file >= 0);
	EXPECT(0, vexfs_info(file, &info));
	EXPECT(2, info.dimension);
	EXPECT(VEXFS_METRIC_L2, info.metric);
	EXPECT(4, info.ids);
	EXPECT(3, info.vectors);
	EXPECT(0, vexfs_fetch(file, 2, vector, 2));
	EXPECT(0, memcmp(vector, vectors[2], sizeof(vector)));
	EXPECT(-ENOENT, vexfs_fetch(file, 3, vector, 2));
	EXPECT(-EINVAL, vexfs_fetch(file, 2, vector, 1));
	EXPECT(3, vexfs_search(file, vectors[1], 2, 0, results, 3, &distances));
	EXPECT(1, results[0].id);
	EXPECT(0, results[0].distance);
	EXPECT(0, results[1].id);
	EXPECT(9 + 25, results[1].distance);
	EXPECT(3, distances);
	EXPECT(1, vexfs_search(file, vectors[1], 2, 0, results, 1, NULL));
	EXPECT(-EBADF, vexfs_delete(file, 0));
	EXPECT(0, vexfs_close(file));

	file = vexfs_open("c", O_RDWR);
	EXPECT_TRUE(file >= 0);
	EXPECT(-ENODATA, vexfs_search(file, vectors[1], 2, 1, results, 3, NULL));
	EXPECT(0, vexfs_index(file, 2, 10, 1));
	EXPECT(3, vexfs_search(file, vectors[1], 2, 2, results, 3, &distances));
	EXPECT(1, results[0].id);
	EXPECT(0, vexfs_index(file, 0, 0, 0));
	EXPECT(0, fsync(file));
	EXPECT(0, vexfs_close(file));
}

static void case_errors(void)
{
	struct vexfs_result results[2] = { { 0 } };
	struct vexfs_ioc_info info;
	__s16 vector[2] = { 0 };
	int file, plain;

	file = vexfs_create("c", 2, VEXFS_METRIC_COSINE);
	EXPECT_TRUE(file >= 0);
	EXPECT(-EFAULT, vexfs_info(file, NULL));
	EXPECT(-EFAULT, vexfs_insert(file, NULL, 2, 1, NULL));
	EXPECT(-EFAULT, vexfs_insert(file, (__s16 *)8, 2, 1, NULL));
	EXPECT(-EFAULT, vexfs_search(file, vector, 2, 0, NULL, 2, NULL));
	EXPECT(-EINVAL, vexfs_insert(file, vector, 3, 1, NULL));
	EXPECT(-EINVAL, vexfs_insert(file, vector, 2, 0, NULL));
	EXPECT(-EINVAL, vexfs_insert(file, vector, 2, VEXFS_MAX_INSERT + 1, NULL));
	EXPECT(-EINVAL, vexfs_search(file, vector, 1, 0, results, 2, NULL));
	EXPECT(-EINVAL, vexfs_search(file, vector, 2, 0, results, 0, NULL));
	EXPECT(-ENOENT, vexfs_fetch(file, 0, vector, 2));
	EXPECT(-ENODATA, vexfs_index(file, 1, 1, 1));
	EXPECT(0, vexfs_search(file, vector, 2, 0, results, 2, NULL));
	EXPECT(0, vexfs_info(file, &info));
	EXPECT(0, info.ids);
	EXPECT(0, vexfs_close(file));

	EXPECT(-EINVAL, vexfs_create("new", 0, VEXFS_METRIC_L2));
	EXPECT(-1, access("new", F_OK));
	EXPECT(-ENOENT, vexfs_open("new", O_RDONLY));
	plain = open("plain", O_RDWR | O_CREAT, 0600);
	EXPECT_TRUE(plain >= 0);
	EXPECT(-ENOTTY, vexfs_open("plain", O_RDONLY));
	EXPECT(1, write(plain, "x", 1));
	EXPECT(-ENOTEMPTY, vexfs_create("plain", 2, VEXFS_METRIC_L2));
	EXPECT(0, close(plain));
}

/* Sorts as the kernel does: the nearest first, of two as near the one with the smaller id. */
static int compare_results(const void *left, const void *right)
{
	const struct vexfs_result *a = left, *b = right;

	if (a->distance != b->distance)
		return a->distance < b->distance ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static void compare_with_brute_force(const char *name, __u32 metric)
{
	__s16 vectors[VECTORS * DIMENSION], query[DIMENSION];
	struct vexfs_result found[NEAREST] = { { 0 } }, all[VECTORS];
	int file = vexfs_create(name, DIMENSION, metric);

	EXPECT_TRUE(file >= 0);
	/* Small numbers, so that some are as near as others. */
	for (int i = 0; i < VECTORS * DIMENSION; i++)
		vectors[i] = i % 7 ? (int)(next_random() % 5) - 2 : (__s16)next_random();
	EXPECT(0, vexfs_insert(file, vectors, DIMENSION, VECTORS, NULL));
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < DIMENSION; i++)
			query[i] = round % 2 ? (int)(next_random() % 5) - 2 : (__s16)next_random();
		for (int i = 0; i < VECTORS; i++) {
			all[i].id = i;
			EXPECT(0, vexfs_distance(metric, query, vectors + i * DIMENSION, DIMENSION,
						 &all[i].distance));
		}
		qsort(all, VECTORS, sizeof(all[0]), compare_results);
		EXPECT(NEAREST, vexfs_search(file, query, DIMENSION, 0, found, NEAREST, NULL));
		for (int i = 0; i < NEAREST; i++) {
			EXPECT(all[i].id, found[i].id);
			EXPECT(all[i].distance, found[i].distance);
		}
	}
	EXPECT(0, vexfs_close(file));
}

static void case_distances(void)
{
	compare_with_brute_force("l2", VEXFS_METRIC_L2);
	compare_with_brute_force("cosine", VEXFS_METRIC_COSINE);
}

int main(int count, char **arguments)
{
	static const struct test_case cases[] = {
		{ "life", case_life },
		{ "errors", case_errors },
		{ "distances", case_distances },
	};

	return run_case(count, arguments, cases, ARRAY_SIZE(cases));
}
