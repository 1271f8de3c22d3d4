// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: how far vectors are from each other.
 *
 * Integers only: the kernel doesn't use the floating-point unit, and a program
 * can compute the very same numbers.  uapi/vexfs.h defines them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/math64.h>

#include "collection.h"

/* Of what the definition of the cosine distance scales by. */
#define VEXFS_NORM_BITS		22
#define VEXFS_COSINE_BITS	20

/* A component's square has at most 30 bits, and the sum of 1024 of them 40. */
static s64 vexfs_dot(const s16 *a, const s16 *b, u32 dimension)
{
	s64 sum = 0;
	u32 i;

	for (i = 0; i < dimension; i++)
		sum += (s32)a[i] * b[i];
	return sum;
}

/* The difference of two components has 16 bits and a sign, its square fits into 32. */
static u64 vexfs_l2(const s16 *a, const s16 *b, u32 dimension)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < dimension; i++) {
		u32 difference = abs((s32)a[i] - b[i]);

		sum += difference * difference;
	}
	return sum;
}

/* What the metric needs to know of a vector each time: r(x) of the definition, or nothing. */
u32 vexfs_norm(u32 metric, const s16 *components, u32 dimension)
{
	if (metric != VEXFS_METRIC_COSINE)
		return 0;
	return int_sqrt64((u64)vexfs_dot(components, components, dimension) << VEXFS_NORM_BITS);
}

static u64 vexfs_cosine(const struct vexfs_point *a, const struct vexfs_point *b, u32 dimension)
{
	s64 dot = vexfs_dot(a->components, b->components, dimension);
	u64 divisor = (u64)a->norm * b->norm;
	u64 similarity, rest;
	unsigned int bit;

	if (!divisor)
		return VEXFS_COSINE_ONE;

	/*
	 * |dot| * 2^42 does not fit into 64 bits.  The division goes on by hand,
	 * bit by bit, where the first 22 of the 42 end.
	 */
	similarity = div64_u64_rem((u64)abs(dot) << VEXFS_NORM_BITS, divisor, &rest);
	for (bit = 0; bit < VEXFS_COSINE_BITS; bit++) {
		similarity <<= 1;
		rest <<= 1;
		if (rest >= divisor) {
			similarity |= 1;
			rest -= divisor;
		}
	}
	similarity = min_t(u64, similarity, VEXFS_COSINE_ONE);
	return dot < 0 ? VEXFS_COSINE_ONE + similarity : VEXFS_COSINE_ONE - similarity;
}

u64 vexfs_distance(u32 metric, const struct vexfs_point *a, const struct vexfs_point *b,
		   u32 dimension)
{
	if (metric == VEXFS_METRIC_COSINE)
		return vexfs_cosine(a, b, dimension);
	return vexfs_l2(a->components, b->components, dimension);
}
