// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: the content of a collection, read and written by the module itself.
 *
 * It goes through the page cache like any file's, so that read(2), writeback
 * and fsync(2) need to know nothing of collections.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "collection.h"

void vexfs_reader_init(struct vexfs_reader *reader, struct inode *inode)
{
	memset(reader, 0, sizeof(*reader));
	reader->inode = inode;
	file_ra_state_init(&reader->readahead, inode->i_mapping);
}

static void vexfs_window_close(struct vexfs_window *window)
{
	if (window->folio)
		vexfs_folio_put(window->folio);
	window->folio = NULL;
}

void vexfs_reader_release(struct vexfs_reader *reader)
{
	vexfs_window_close(&reader->entries);
	vexfs_window_close(&reader->components);
}

static int vexfs_window_move(struct vexfs_reader *reader, struct vexfs_window *window, loff_t pos)
{
	struct address_space *mapping = reader->inode->i_mapping;
	pgoff_t index = pos >> PAGE_SHIFT;
	struct vexfs_folio *folio;

	if (window->folio && window->index == index)
		return 0;
	vexfs_window_close(window);
	if (!filemap_range_has_page(mapping, pos, pos))
		page_cache_sync_readahead(mapping, &reader->readahead, NULL, index, 1);
	folio = vexfs_read_mapping_folio(mapping, index);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	window->folio = folio;
	window->index = index;
	return 0;
}

/* Reads by way of one of the reader's windows, which stays at the page where it was last. */
int vexfs_read_content(struct vexfs_reader *reader, struct vexfs_window *window, loff_t pos,
		       void *data, size_t size)
{
	while (size) {
		size_t part = min_t(size_t, size, PAGE_SIZE - offset_in_page(pos));
		void *from;
		int error;

		error = vexfs_window_move(reader, window, pos);
		if (error)
			return error;
		from = vexfs_kmap_folio(window->folio, pos);
		memcpy(data, from, part);
		vexfs_kunmap(from);
		data += part;
		pos += part;
		size -= part;
	}
	return 0;
}

/* Writes within the size of the file; @data NULL is zeros.  The caller has the i_rwsem. */
int vexfs_write_content(struct inode *inode, loff_t pos, const void *data, size_t size)
{
	struct address_space *mapping = inode->i_mapping;

	while (size) {
		unsigned int part = min_t(size_t, size, PAGE_SIZE - offset_in_page(pos));
		struct vexfs_folio *folio;
		void *to, *private;
		int result;

		result = mapping->a_ops->write_begin(NULL, mapping, pos, part,
						     VEXFS_WRITE_INTO(&folio), &private);
		if (result)
			return result;
		to = vexfs_kmap_folio(folio, pos);
		if (data)
			memcpy(to, data, part);
		else
			memset(to, 0, part);
		vexfs_kunmap(to);
		result = mapping->a_ops->write_end(NULL, mapping, pos, part, part, folio, private);
		if (result < 0)
			return result;
		if (data)
			data += part;
		pos += part;
		size -= part;
	}
	return 0;
}
