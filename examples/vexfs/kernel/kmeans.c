// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: the centroids of an index, by k-means.
 *
 * Lloyd's algorithm (Least squares quantization in PCM, IEEE Transactions on
 * Information Theory, 1982), for the cosine its spherical form (Dhillon and
 * Modha, Concept decompositions for large sparse text data using clustering,
 * Machine Learning, 2001), in integers: the same vectors, seed and order of
 * insertion make the same index everywhere.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/math64.h>
#include <linux/slab.h>

#include "collection.h"

/* A vector of length one has components up to 2^20, so that 2^20 of them can be added. */
#define VEXFS_UNIT_BITS		20

struct vexfs_training {
	struct vexfs_vectors *vectors;
	struct vexfs_index *index;
	struct vexfs_reader reader;
	u16 *cell_of;			/* by id */
	s16 *components;		/* of the vector that is looked at */
	s64 *sums;			/* [cells][dimension] */
	u32 *sizes;			/* [cells] */
};

/* SplitMix64 (Steele, Lea and Flood, Fast splittable pseudorandom number generators, 2014). */
static u64 vexfs_random(u64 *state)
{
	u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

/*
 * The first centroids are vectors of the collection, each set of them as likely
 * (selection sampling: Knuth, The Art of Computer Programming, 3.4.2, algorithm S).
 */
static int vexfs_choose_centroids(struct vexfs_training *training, u64 seed)
{
	struct vexfs_vectors *vectors = training->vectors;
	struct vexfs_index *index = training->index;
	u32 left = vectors->live;
	u32 cell = 0, id;
	int error = 0;

	for (id = vexfs_next_live(vectors, 0); cell < index->cells;
	     id = vexfs_next_live(vectors, id + 1)) {
		s16 *centroid = index->centroids + cell * vectors->dimension;
		u32 random = vexfs_random(&seed);

		if ((u64)random * left-- >> 32 >= index->cells - cell)
			continue;
		error = vexfs_breathe();
		if (!error)
			error = vexfs_components_read(&training->reader, id, centroid);
		if (error)
			return error;
		index->norms[cell++] = vexfs_norm(vectors->metric, centroid, vectors->dimension);
	}
	return 0;
}

/* Adds the vector, or for the cosine its direction, to what its cell's centroid is made of. */
static void vexfs_add_to_sum(struct vexfs_training *training, const struct vexfs_point *point,
			     u32 cell)
{
	u32 i, dimension = training->vectors->dimension;
	s64 *sum = training->sums + cell * dimension;
	const s16 *components = point->components;
	s64 scale;

	training->sizes[cell]++;
	if (training->vectors->metric == VEXFS_METRIC_L2) {
		for (i = 0; i < dimension; i++)
			sum[i] += components[i];
		return;
	}
	if (!point->norm)
		return;
	/* The norm is the length times 2^11; 15 more bits keep short vectors exact. */
	scale = div64_u64(1ULL << (VEXFS_UNIT_BITS + 11 + 15), point->norm);
	for (i = 0; i < dimension; i++)
		sum[i] += (components[i] * scale) >> 15;
}

/* Puts each vector into the cell of its nearest centroid; tells whether any has moved. */
static int vexfs_assign(struct vexfs_training *training, bool *moved)
{
	struct vexfs_vectors *vectors = training->vectors;
	u32 dimension = vectors->dimension;
	u32 id;

	*moved = false;
	memset(training->sums, 0,
	       training->index->cells * dimension * sizeof(*training->sums));
	memset(training->sizes, 0, training->index->cells * sizeof(*training->sizes));
	for (id = vexfs_next_live(vectors, 0); id < vectors->ids;
	     id = vexfs_next_live(vectors, id + 1)) {
		struct vexfs_point point = { .components = training->components };
		u32 cell;
		int error;

		error = vexfs_breathe();
		if (!error)
			error = vexfs_components_read(&training->reader, id,
						      training->components);
		if (error)
			return error;
		point.norm = vexfs_norm(vectors->metric, point.components, dimension);
		cell = vexfs_index_cell(vectors, training->index, &point);
		if (training->cell_of[id] != cell)
			*moved = true;
		training->cell_of[id] = cell;
		vexfs_add_to_sum(training, &point, cell);
	}
	return 0;
}

/* @number divided by @count, to the nearest integer. */
static s16 vexfs_mean(s64 number, u32 count)
{
	s64 half = count / 2;

	return div_s64(number < 0 ? number - half : number + half, count);
}

/* The sum's direction, so long that its largest component is the largest that there is. */
static void vexfs_scale(const s64 *sum, u32 dimension, s16 *centroid)
{
	s64 largest = 0;
	u32 i;

	for (i = 0; i < dimension; i++)
		largest = max_t(s64, largest, abs(sum[i]));
	if (!largest)
		return;		/* vectors of zeros, or they cancel out: no better direction */
	for (i = 0; i < dimension; i++)
		centroid[i] = div64_s64(sum[i] * S16_MAX, largest);
}

/* Moves the centroids to the middle of their cells; the one of an empty cell stays. */
static void vexfs_move_centroids(struct vexfs_training *training)
{
	struct vexfs_index *index = training->index;
	u32 metric = training->vectors->metric;
	u32 dimension = training->vectors->dimension;
	u32 cell, i;

	for (cell = 0; cell < index->cells; cell++) {
		const s64 *sum = training->sums + cell * dimension;
		s16 *centroid = index->centroids + cell * dimension;

		if (!training->sizes[cell])
			continue;
		if (metric == VEXFS_METRIC_L2)
			for (i = 0; i < dimension; i++)
				centroid[i] = vexfs_mean(sum[i], training->sizes[cell]);
		else
			vexfs_scale(sum, dimension, centroid);
		index->norms[cell] = vexfs_norm(metric, centroid, dimension);
	}
}

static int vexfs_train(struct vexfs_training *training, u32 iterations, u64 seed)
{
	bool moved;
	int error;

	error = vexfs_choose_centroids(training, seed);
	if (error)
		return error;
	for (;;) {
		error = vexfs_assign(training, &moved);
		if (error || !moved || !iterations--)
			return error;
		vexfs_move_centroids(training);
	}
}

/* Fills in the centroids of @index, and in @cell_of the cell of each live id. */
int vexfs_kmeans(struct inode *inode, struct vexfs_index *index, u32 iterations, u64 seed,
		 u16 *cell_of)
{
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	struct vexfs_training training = {
		.vectors = vectors,
		.index = index,
		.cell_of = cell_of,
	};
	int error = -ENOMEM;

	training.components = kmalloc_array(vectors->dimension, sizeof(*training.components),
					    GFP_KERNEL);
	training.sums = kvcalloc(index->cells * vectors->dimension, sizeof(*training.sums),
				 GFP_KERNEL);
	training.sizes = kcalloc(index->cells, sizeof(*training.sizes), GFP_KERNEL);
	if (training.components && training.sums && training.sizes) {
		memset(cell_of, 0xff, vectors->ids * sizeof(*cell_of));	/* no cell yet */
		vexfs_reader_init(&training.reader, inode);
		error = vexfs_train(&training, iterations, seed);
		vexfs_reader_release(&training.reader);
	}
	kfree(training.sizes);
	kvfree(training.sums);
	kfree(training.components);
	return error;
}
