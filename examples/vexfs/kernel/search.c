// SPDX-License-Identifier: GPL-2.0
/* vexfs: the vectors of a collection that are nearest to a query. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "collection.h"

struct vexfs_searcher {
	struct vexfs_vectors *vectors;
	struct vexfs_point query;
	struct vexfs_reader reader;
	s16 *components;		/* of the vector that is looked at */
	struct vexfs_nearest nearest;
	u64 distances;			/* computed so far */
};

static int vexfs_look_at(struct vexfs_searcher *searcher, u32 id)
{
	const struct vexfs_vectors *vectors = searcher->vectors;
	struct vexfs_point point = { .components = searcher->components };
	int error;

	error = vexfs_breathe();
	if (!error)
		error = vexfs_components_read(&searcher->reader, id, searcher->components);
	if (error)
		return error;
	point.norm = vexfs_norm(vectors->metric, point.components, vectors->dimension);
	vexfs_nearest_add(&searcher->nearest, id,
			  vexfs_distance(vectors->metric, &searcher->query, &point,
					 vectors->dimension));
	searcher->distances++;
	return 0;
}

static int vexfs_search_all(struct vexfs_searcher *searcher)
{
	struct vexfs_vectors *vectors = searcher->vectors;
	int error = 0;
	u32 id;

	for (id = vexfs_next_live(vectors, 0); !error && id < vectors->ids;
	     id = vexfs_next_live(vectors, id + 1))
		error = vexfs_look_at(searcher, id);
	return error;
}

static int vexfs_search_cell(struct vexfs_searcher *searcher, u32 cell)
{
	struct vexfs_vectors *vectors = searcher->vectors;
	int error = 0;
	u32 id;

	for (id = vectors->index->first[cell]; !error && id != VEXFS_NO_ID;
	     id = vexfs_next_in_cell(vectors, id))
		if (vexfs_is_live(vectors, id))
			error = vexfs_look_at(searcher, id);
	return error;
}

/* Looks into the cells whose centroids are nearest. */
static int vexfs_search_index(struct vexfs_searcher *searcher, u32 probes)
{
	const struct vexfs_vectors *vectors = searcher->vectors;
	const struct vexfs_index *index = vectors->index;
	struct vexfs_nearest cells = { .limit = probes };
	int error = 0;
	u32 i;

	cells.results = kcalloc(probes, sizeof(*cells.results), GFP_KERNEL);
	if (!cells.results)
		return -ENOMEM;
	for (i = 0; i < index->cells; i++)
		vexfs_nearest_add(&cells, i,
				  vexfs_index_distance(vectors, index, i, &searcher->query));
	searcher->distances += index->cells;
	for (i = 0; !error && i < cells.found; i++)
		error = vexfs_search_cell(searcher, cells.results[i].id);
	kfree(cells.results);
	return error;
}

/* The request's numbers are in their ranges; those of the collection are checked here. */
int vexfs_search(struct inode *inode, struct vexfs_ffi_search *search)
{
	struct vexfs_vectors *vectors = VEXFS_I(inode)->vectors;
	struct vexfs_searcher searcher = {
		.vectors = vectors,
		.query.components = search->query,
		.query.norm = vexfs_norm(vectors->metric, search->query, vectors->dimension),
		.nearest.results = search->results,
		.nearest.limit = search->k,
	};
	int error;

	if (search->method == VEXFS_SEARCH_INDEX) {
		if (!vectors->index)
			return -ENODATA;
		if (search->probes > vectors->index->cells)
			return -EINVAL;
	}
	searcher.components = kmalloc_array(vectors->dimension, sizeof(*searcher.components),
					    GFP_KERNEL);
	if (!searcher.components)
		return -ENOMEM;

	vexfs_reader_init(&searcher.reader, inode);
	if (search->method == VEXFS_SEARCH_INDEX)
		error = vexfs_search_index(&searcher, search->probes);
	else
		error = vexfs_search_all(&searcher);
	vexfs_reader_release(&searcher.reader);
	kfree(searcher.components);
	if (error)
		return error;

	vexfs_nearest_sort(&searcher.nearest);
	search->found = searcher.nearest.found;
	search->distances = searcher.distances;
	return 0;
}
