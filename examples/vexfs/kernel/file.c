// SPDX-License-Identifier: GPL-2.0
/* vexfs: regular files and symbolic links, through the page cache. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

/* Takes back what a write beyond the end has allocated before it failed. */
static void vexfs_write_failed(struct address_space *mapping, loff_t end)
{
	struct inode *inode = mapping->host;
	loff_t size = i_size_read(inode);

	if (end <= size)
		return;
	truncate_pagecache(inode, size);
	vexfs_free_blocks(inode, DIV_ROUND_UP_ULL(size, VEXFS_BLOCK_SIZE));
}

static VEXFS_WRITE_BEGIN(vexfs_write_begin)
{
	int error;

	error = vexfs_block_write_begin(mapping, pos, len, folio, vexfs_get_block);
	if (error)
		vexfs_write_failed(mapping, pos + len);
	return error;
}

static int vexfs_write_end(VEXFS_WRITE_SOURCE, struct address_space *mapping, loff_t pos,
			   unsigned int len, unsigned int copied, struct vexfs_folio *folio,
			   void *data)
{
	int written = generic_write_end(source, mapping, pos, len, copied, folio, data);

	if (written < len)
		vexfs_write_failed(mapping, pos + len);
	return written;
}

static int vexfs_writepages(struct address_space *mapping, struct writeback_control *wbc)
{
	return mpage_writepages(mapping, wbc, vexfs_get_block);
}

static void vexfs_readahead(struct readahead_control *request)
{
	mpage_readahead(request, vexfs_get_block);
}

#if VEXFS_KERNEL(5, 19)
static int vexfs_read_folio(struct file *file, struct folio *folio)
{
	return mpage_read_folio(folio, vexfs_get_block);
}
#else
static int vexfs_readpage(struct file *file, struct page *page)
{
	return mpage_readpage(page, vexfs_get_block);
}
#endif

#if !VEXFS_KERNEL(6, 3)
/* mpage_writepages() hands over what it can't do itself. */
static int vexfs_writepage(struct page *page, struct writeback_control *wbc)
{
	return block_write_full_page(page, vexfs_get_block, wbc);
}
#endif

static sector_t vexfs_bmap(struct address_space *mapping, sector_t block)
{
	return generic_block_bmap(mapping, block, vexfs_get_block);
}

const struct address_space_operations vexfs_aops = {
#if VEXFS_KERNEL(5, 18)
	.dirty_folio = block_dirty_folio,
	.invalidate_folio = block_invalidate_folio,
#else
	.set_page_dirty = __set_page_dirty_buffers,
#endif
#if VEXFS_KERNEL(5, 19)
	.read_folio = vexfs_read_folio,
#else
	.readpage = vexfs_readpage,
#endif
#if VEXFS_KERNEL(6, 0)
	.migrate_folio = buffer_migrate_folio,
#else
	.migratepage = buffer_migrate_page,
#endif
#if !VEXFS_KERNEL(6, 3)
	.writepage = vexfs_writepage,
#endif
	.readahead = vexfs_readahead,
	.writepages = vexfs_writepages,
	.write_begin = vexfs_write_begin,
	.write_end = vexfs_write_end,
	.bmap = vexfs_bmap,
	.is_partially_uptodate = block_is_partially_uptodate,
};

/*
 * Blocks for a page written through a mapping are allocated at the fault: a
 * full disk is then a signal for the writer, not data lost later on.
 */
static vm_fault_t vexfs_page_mkwrite(struct vm_fault *fault)
{
	struct inode *inode = file_inode(fault->vma->vm_file);
	int error;

	/* The mapping may be older than the collection, or than the damage. */
	if (vexfs_is_sealed(inode) || sb_rdonly(inode->i_sb))
		return VM_FAULT_SIGBUS;

	sb_start_pagefault(inode->i_sb);
	file_update_time(fault->vma->vm_file);
	error = block_page_mkwrite(fault->vma, fault, vexfs_get_block);
	sb_end_pagefault(inode->i_sb);
	return error ? vexfs_fault_result(error) : VM_FAULT_LOCKED;
}

static const struct vm_operations_struct vexfs_mapping_operations = {
	.fault = filemap_fault,
	.map_pages = filemap_map_pages,
	.page_mkwrite = vexfs_page_mkwrite,
};

static int vexfs_mmap(struct file *file, struct vm_area_struct *vma)
{
	if (vexfs_is_sealed(file_inode(file)) &&
	    (vma->vm_flags & VM_SHARED) && (vma->vm_flags & VM_WRITE))
		return -EPERM;
	file_accessed(file);
	vma->vm_ops = &vexfs_mapping_operations;
	return 0;
}

/* As generic_file_write_iter(), but a file may become a collection until the lock is held. */
static ssize_t vexfs_write_iter(struct kiocb *request, struct iov_iter *from)
{
	struct inode *inode = file_inode(request->ki_filp);
	ssize_t written;

	inode_lock(inode);
	if (vexfs_is_sealed(inode))
		written = -EPERM;
	else if (sb_rdonly(inode->i_sb))	/* since damage was seen */
		written = -EROFS;
	else
		written = generic_write_checks(request, from);
	if (written > 0)
		written = __generic_file_write_iter(request, from);
	inode_unlock(inode);
	if (written > 0)
		written = generic_write_sync(request, written);
	return written;
}

/* vexfs has none, but of a collection it is to be said that it would not be allowed either. */
static long vexfs_fallocate(struct file *file, int mode, loff_t offset, loff_t size)
{
	return vexfs_is_sealed(file_inode(file)) ? -EPERM : -EOPNOTSUPP;
}

const struct file_operations vexfs_file_operations = {
	.owner = THIS_MODULE,
	.llseek = generic_file_llseek,
	.read_iter = generic_file_read_iter,
	.write_iter = vexfs_write_iter,
	.fallocate = vexfs_fallocate,
	.unlocked_ioctl = vexfs_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.splice_read = vexfs_splice_read,
	.splice_write = iter_file_splice_write,
	.mmap = vexfs_mmap,
	.fsync = vexfs_fsync,
	.setlease = generic_setlease,
};

const struct inode_operations vexfs_file_inode_operations = {
	.setattr = vexfs_setattr,
};

const struct inode_operations vexfs_symlink_inode_operations = {
	.get_link = page_get_link,
	.setattr = vexfs_setattr,
};
