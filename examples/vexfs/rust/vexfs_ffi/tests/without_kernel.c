// SPDX-License-Identifier: GPL-2.0-only
/* What libvexfs_ffi does on a file that is no collection; argument: such a file's name. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vexfs_ffi.h"

static void expect(const char *what, long long expected, long long found)
{
	if (expected == found)
		return;
	fprintf(stderr, "%s: expected %lld, found %lld\n", what, expected, found);
	exit(1);
}

#define EXPECT(expected, call) expect(#call, expected, call)

static void distances(void)
{
	__s16 a[VEXFS_MAX_DIMENSION + 1] = { 3, 4 };
	__s16 b[VEXFS_MAX_DIMENSION + 1] = { 0, 0 };
	__u64 distance = 77;

	EXPECT(0, vexfs_distance(VEXFS_METRIC_L2, a, b, 2, &distance));
	expect("L2", 25, distance);
	EXPECT(0, vexfs_distance(VEXFS_METRIC_COSINE, a, b, 2, &distance));
	expect("cosine with zeros", VEXFS_COSINE_ONE, distance);
	EXPECT(0, vexfs_distance(VEXFS_METRIC_COSINE, a, a, VEXFS_MAX_DIMENSION, &distance));
	expect("cosine of equals", 0, distance);

	distance = 77;
	EXPECT(-EINVAL, vexfs_distance(0, a, b, 2, &distance));
	EXPECT(-EINVAL, vexfs_distance(3, a, b, 2, &distance));
	EXPECT(-EINVAL, vexfs_distance(VEXFS_METRIC_L2, a, b, 0, &distance));
	EXPECT(-EINVAL, vexfs_distance(VEXFS_METRIC_L2, a, b, VEXFS_MAX_DIMENSION + 1, &distance));
	EXPECT(-EINVAL, vexfs_distance(VEXFS_METRIC_L2, a, b, UINT_MAX, &distance));
	EXPECT(-EINVAL, vexfs_distance(VEXFS_METRIC_L2, (__s16 *)((char *)a + 1), b, 2, &distance));
	EXPECT(-EFAULT, vexfs_distance(VEXFS_METRIC_L2, NULL, b, 2, &distance));
	EXPECT(-EFAULT, vexfs_distance(VEXFS_METRIC_L2, a, NULL, 2, &distance));
	EXPECT(-EFAULT, vexfs_distance(VEXFS_METRIC_L2, a, b, 2, NULL));
	expect("distance after errors", 77, distance);
}

/* A plain file answers -ENOTTY, and no file -EBADF; null pointers are found before. */
static void requests(int file, int error)
{
	struct vexfs_result results[2];
	struct vexfs_ioc_info info;
	__s16 vector[4] = { 1, 2, 3, 4 };
	__u64 number;

	EXPECT(error, vexfs_info(file, &info));
	EXPECT(error, vexfs_insert(file, vector, 4, 1, &number));
	EXPECT(error, vexfs_insert(file, vector, 4, 1, NULL));
	EXPECT(error, vexfs_fetch(file, 0, vector, 4));
	EXPECT(error, vexfs_delete(file, 0));
	EXPECT(error, vexfs_search(file, vector, 4, 0, results, 2, &number));
	EXPECT(error, vexfs_search(file, vector, 4, 1, results, 2, NULL));
	EXPECT(error, vexfs_index(file, 2, 10, 1));

	EXPECT(-EFAULT, vexfs_info(file, NULL));
	EXPECT(-EFAULT, vexfs_insert(file, NULL, 4, 1, &number));
	EXPECT(-EFAULT, vexfs_fetch(file, 0, NULL, 4));
	EXPECT(-EFAULT, vexfs_search(file, NULL, 4, 0, results, 2, &number));
	EXPECT(-EFAULT, vexfs_search(file, vector, 4, 0, NULL, 2, &number));
}

static void files(const char *name)
{
	int file;

	EXPECT(-ENOTTY, vexfs_create(name, 4, VEXFS_METRIC_L2));
	expect("a file is left behind", -1, access(name, F_OK));
	EXPECT(-ENOENT, vexfs_open(name, O_RDONLY));

	file = open(name, O_RDWR | O_CREAT, 0600);
	if (file < 0) {
		perror(name);
		exit(1);
	}
	EXPECT(-ENOTTY, vexfs_create(name, 4, VEXFS_METRIC_L2));
	expect("the file that was there is gone", 0, access(name, F_OK));
	EXPECT(-ENOTTY, vexfs_open(name, O_RDONLY));
	EXPECT(-ENOTTY, vexfs_open(name, O_RDWR));
	EXPECT(-EINVAL, vexfs_open(name, O_WRONLY));
	EXPECT(-EINVAL, vexfs_open(name, O_RDWR | O_TRUNC));
	EXPECT(-EFAULT, vexfs_open(NULL, O_RDONLY));
	EXPECT(-EFAULT, vexfs_create(NULL, 4, VEXFS_METRIC_L2));

	requests(file, -ENOTTY);
	EXPECT(0, vexfs_close(file));
	EXPECT(-EBADF, vexfs_close(file));
	requests(file, -EBADF);
	requests(-1, -EBADF);
	unlink(name);
}

static void errors(void)
{
	if (!strstr(vexfs_strerror(-ENOTTY), "no collection"))
		expect("text of ENOTTY", 1, 0);
	expect("sign", 0, strcmp(vexfs_strerror(ENOTTY), vexfs_strerror(-ENOTTY)));
	expect("text of ENOSPC", 0, strcmp(vexfs_strerror(-ENOSPC), strerror(ENOSPC)));
	for (int error = -200; error <= 200; error++)
		expect("a text is empty", 1, *vexfs_strerror(error) != 0);
	expect("a text is empty", 1, *vexfs_strerror(INT_MIN) != 0);
	expect("a text is empty", 1, *vexfs_strerror(INT_MAX) != 0);
}

int main(int count, char **arguments)
{
	if (count != 2) {
		fprintf(stderr, "usage: %s FILE\n", arguments[0]);
		return 2;
	}
	distances();
	files(arguments[1]);
	errors();
	return 0;
}
