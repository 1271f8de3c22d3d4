// SPDX-License-Identifier: GPL-2.0
/* vexfs: the module, mounting and the superblock. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/statfs.h>

#include "vexfs.h"

bool vexfs_debug_enabled;
module_param_named(debug, vexfs_debug_enabled, bool, 0644);
MODULE_PARM_DESC(debug, "Log each mount, remount and unmount in detail");

static struct kmem_cache *vexfs_inode_cache;

/* Reports damage; the file system will not be marked clean any more. */
void vexfs_damaged(struct super_block *sb, const char *format, ...)
{
	struct va_format message;
	va_list arguments;

	VEXFS_SB(sb)->damaged = true;
	va_start(arguments, format);
	message.fmt = format;
	message.va = &arguments;
	pr_err_ratelimited("%s: damaged: %pV\n", sb->s_id, &message);
	va_end(arguments);

	if (VEXFS_SB(sb)->options.errors == VEXFS_ERRORS_REMOUNT_RO && !sb_rdonly(sb)) {
		pr_err("%s: read-only from now on\n", sb->s_id);
		sb->s_flags |= SB_RDONLY;
	}
}

static struct inode *vexfs_alloc_inode(struct super_block *sb)
{
	struct vexfs_inode *vi = vexfs_alloc_inode_object(sb, vexfs_inode_cache);

	if (!vi)
		return NULL;
	vi->vectors = NULL;
	vi->flags = 0;
	vi->sealed = false;
	memset(vi->pointers, 0, sizeof(vi->pointers));
	return &vi->vfs_inode;
}

static void vexfs_free_inode(struct inode *inode)
{
	kmem_cache_free(vexfs_inode_cache, VEXFS_I(inode));
}

/* Once for each object of the cache, not for each inode. */
static void vexfs_init_once(void *object)
{
	struct vexfs_inode *vi = object;

	init_rwsem(&vi->collection_lock);
	init_rwsem(&vi->map_lock);
	inode_init_once(&vi->vfs_inode);
}

/* Writes @state, after all that was written before and before all that follows. */
static int vexfs_write_state(struct super_block *sb, u32 state)
{
	struct vexfs_sb *vsb = VEXFS_SB(sb);
	struct vexfs_superblock *disk = (void *)vsb->superblock->b_data;
	int error;

	error = sync_blockdev(sb->s_bdev);
	if (error)
		return error;
	lock_buffer(vsb->superblock);
	disk->state = cpu_to_le32(state);
	disk->checksum = cpu_to_le32(vexfs_checksum(vsb->uuid, VEXFS_SUPERBLOCK, disk,
						    sizeof(*disk)));
	set_buffer_uptodate(vsb->superblock);
	unlock_buffer(vsb->superblock);
	mark_buffer_dirty(vsb->superblock);
	return __sync_dirty_buffer(vsb->superblock, REQ_SYNC | REQ_PREFLUSH | REQ_FUA);
}

/* Nobody writes any more: says so on the disk, unless damage was seen. */
static void vexfs_write_clean(struct super_block *sb)
{
	if (VEXFS_SB(sb)->damaged)
		pr_warn("%s: not marked clean, run \"vexctl check\"\n", sb->s_id);
	else if (vexfs_commit(sb) || vexfs_write_state(sb, VEXFS_STATE_CLEAN))
		pr_err("%s: the superblock can't be written\n", sb->s_id);
}

/* Before the first write; a file system in doubt is not written to. */
static int vexfs_start_writing(struct super_block *sb)
{
	struct vexfs_superblock *disk = (void *)VEXFS_SB(sb)->superblock->b_data;

	if (le32_to_cpu(disk->state) != VEXFS_STATE_CLEAN) {
		pr_err("%s: not unmounted in good order: run \"vexctl check --repair\", or mount read-only\n",
		       sb->s_id);
		return -EUCLEAN;
	}
	return vexfs_write_state(sb, VEXFS_STATE_IN_USE);
}

static void vexfs_release(struct super_block *sb)
{
	struct vexfs_sb *vsb = VEXFS_SB(sb);

	vexfs_bitmap_release(&vsb->inodes);
	vexfs_bitmap_release(&vsb->blocks);
	brelse(vsb->superblock);
	sb->s_fs_info = NULL;
	kfree(vsb);
}

static void vexfs_put_super(struct super_block *sb)
{
	if (!sb_rdonly(sb))
		vexfs_write_clean(sb);
	vexfs_debug(sb, "unmounted");
	vexfs_release(sb);
	/*
	 * The content of files is written past the device's cache.  As long as
	 * someone has the device open, as udev may, what was read of it earlier
	 * stays there, and would be found instead.
	 */
	invalidate_bdev(sb->s_bdev);
}

static int vexfs_statfs(struct dentry *dentry, struct kstatfs *result)
{
	struct super_block *sb = dentry->d_sb;
	struct vexfs_sb *vsb = VEXFS_SB(sb);

	result->f_type = VEXFS_MAGIC;
	result->f_bsize = VEXFS_BLOCK_SIZE;
	result->f_blocks = vsb->block_count - vsb->data;
	result->f_bfree = vexfs_bitmap_free(&vsb->blocks);
	result->f_bavail = result->f_bfree;
	result->f_files = vsb->inode_count;
	result->f_ffree = vexfs_bitmap_free(&vsb->inodes);
	result->f_namelen = VEXFS_NAME_MAX;
	memcpy(&result->f_fsid, vsb->uuid, sizeof(result->f_fsid));
	return 0;
}

static const struct super_operations vexfs_super_operations = {
	.alloc_inode = vexfs_alloc_inode,
	.free_inode = vexfs_free_inode,
	.dirty_inode = vexfs_dirty_inode,
	.evict_inode = vexfs_evict_inode,
	.put_super = vexfs_put_super,
	.sync_fs = vexfs_sync_fs,
	.statfs = vexfs_statfs,
	.show_options = vexfs_show_options,
};

static u32 vexfs_bitmap_blocks(u64 bits)
{
	return div_u64(bits + VEXFS_BITS_PER_BLOCK - 1, VEXFS_BITS_PER_BLOCK);
}

/*
 * The areas follow each other without a gap, so that two numbers say where all
 * of them are; the superblock has to agree.
 */
static bool vexfs_areas_valid(const struct vexfs_superblock *disk)
{
	u64 blocks = le64_to_cpu(disk->block_count);
	u32 inodes = le32_to_cpu(disk->inode_count);
	u64 start = VEXFS_SUPERBLOCK + 1;

	if (blocks < VEXFS_MIN_BLOCKS || blocks > VEXFS_MAX_BLOCKS)
		return false;
	if (inodes < VEXFS_MIN_INODES || inodes % VEXFS_INODES_PER_BLOCK)
		return false;

	if (le32_to_cpu(disk->inode_bitmap) != start ||
	    le32_to_cpu(disk->inode_bitmap_blocks) != vexfs_bitmap_blocks(inodes))
		return false;
	start += vexfs_bitmap_blocks(inodes);
	if (le32_to_cpu(disk->block_bitmap) != start ||
	    le32_to_cpu(disk->block_bitmap_blocks) != vexfs_bitmap_blocks(blocks))
		return false;
	start += vexfs_bitmap_blocks(blocks);
	if (le32_to_cpu(disk->inode_table) != start ||
	    le32_to_cpu(disk->inode_table_blocks) != inodes / VEXFS_INODES_PER_BLOCK)
		return false;
	start += inodes / VEXFS_INODES_PER_BLOCK;
	return le32_to_cpu(disk->data) == start && start < blocks;
}

/* Returns 0, -EINVAL: not a vexfs that this module knows, or -EUCLEAN. */
static int vexfs_check_superblock(struct super_block *sb, const struct vexfs_superblock *disk,
				  bool silent)
{
	const char *fault = NULL;

	if (le32_to_cpu(disk->magic) != VEXFS_MAGIC) {
		if (!silent)
			pr_err("%s: no vexfs here\n", sb->s_id);
		return -EINVAL;
	}
	if (le32_to_cpu(disk->checksum) !=
	    vexfs_checksum(disk->uuid, VEXFS_SUPERBLOCK, disk, sizeof(*disk))) {
		pr_err("%s: damaged superblock: wrong checksum\n", sb->s_id);
		return -EUCLEAN;
	}
	if (le32_to_cpu(disk->version) != VEXFS_VERSION) {
		pr_err("%s: format %u, but this module knows %u only\n", sb->s_id,
		       le32_to_cpu(disk->version), VEXFS_VERSION);
		return -EINVAL;
	}

	if (le32_to_cpu(disk->block_size) != VEXFS_BLOCK_SIZE)
		fault = "wrong block size";
	else if (!vexfs_areas_valid(disk))
		fault = "wrong areas";
	else if (le64_to_cpu(disk->block_count) >
		 (u64)vexfs_device_size(sb) >> VEXFS_BLOCK_BITS)
		fault = "larger than the device";
	else if (le32_to_cpu(disk->root_inode) != VEXFS_ROOT_INODE)
		fault = "wrong root";
	else if (le32_to_cpu(disk->state) != VEXFS_STATE_CLEAN &&
		 le32_to_cpu(disk->state) != VEXFS_STATE_IN_USE)
		fault = "unknown state";
	else if (memchr_inv(disk->reserved, 0, sizeof(disk->reserved)))
		fault = "reserved field in use";
	if (fault) {
		pr_err("%s: damaged superblock: %s\n", sb->s_id, fault);
		return -EUCLEAN;
	}
	return 0;
}

static int vexfs_load(struct super_block *sb, bool silent)
{
	struct vexfs_sb *vsb = VEXFS_SB(sb);
	struct vexfs_superblock *disk;
	u32 block;
	int error;

	vsb->superblock = sb_bread(sb, VEXFS_SUPERBLOCK);
	if (!vsb->superblock)
		return -EIO;
	disk = (void *)vsb->superblock->b_data;
	error = vexfs_check_superblock(sb, disk, silent);
	if (error)
		return error;

	memcpy(vsb->uuid, disk->uuid, sizeof(vsb->uuid));
	vsb->block_count = le64_to_cpu(disk->block_count);
	vsb->inode_count = le32_to_cpu(disk->inode_count);
	vsb->inode_table = le32_to_cpu(disk->inode_table);
	vsb->data = le32_to_cpu(disk->data);
	error = vexfs_bitmap_load(sb, &vsb->inodes, le32_to_cpu(disk->inode_bitmap),
				  vsb->inode_count);
	if (error)
		return error;
	error = vexfs_bitmap_load(sb, &vsb->blocks, le32_to_cpu(disk->block_bitmap),
				  vsb->block_count);
	if (error)
		return error;

	for (block = 0; block < vsb->data; block++) {
		if (!vexfs_bitmap_test(&vsb->blocks, block)) {
			vexfs_damaged(sb, "block %u of the tables is marked free", block);
			return -EUCLEAN;
		}
	}
	return 0;
}

static int vexfs_make_root(struct super_block *sb)
{
	struct inode *root = vexfs_iget(sb, VEXFS_ROOT_INODE);

	if (IS_ERR(root))
		return PTR_ERR(root);
	if (!S_ISDIR(root->i_mode)) {
		vexfs_damaged(sb, "the root is not a directory");
		iput(root);
		return -EUCLEAN;
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int vexfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	struct vexfs_sb *vsb;
	int error;

	if (!sb_set_blocksize(sb, VEXFS_BLOCK_SIZE)) {
		pr_err("%s: the device can't do blocks of %u bytes\n", sb->s_id, VEXFS_BLOCK_SIZE);
		return -EINVAL;
	}
	/* What somebody else left in the cache may be older than the disk, and verified. */
	invalidate_bdev(sb->s_bdev);

	vsb = kzalloc(sizeof(*vsb), GFP_KERNEL);
	if (!vsb)
		return -ENOMEM;
	vsb->options = *(struct vexfs_options *)fc->fs_private;
	mutex_init(&vsb->commit_lock);
	init_rwsem(&vsb->giving);
	sb->s_fs_info = vsb;
	sb->s_magic = VEXFS_MAGIC;
	sb->s_op = &vexfs_super_operations;
	sb->s_maxbytes = (loff_t)VEXFS_MAX_FILE_BLOCKS << VEXFS_BLOCK_BITS;
	sb->s_max_links = VEXFS_MAX_LINKS;
	sb->s_time_gran = 1;

	error = vexfs_load(sb, fc->sb_flags & SB_SILENT);
	if (!error)
		error = vexfs_make_root(sb);
	if (!error && !sb_rdonly(sb))
		error = vexfs_start_writing(sb);
	if (!error) {
		vexfs_debug(sb, "mounted, %llu of %llu blocks free",
			    vexfs_bitmap_free(&vsb->blocks), vsb->block_count - vsb->data);
		return 0;
	}

	/* put_super() is called for a superblock with a root only, and is too much here. */
	dput(sb->s_root);
	sb->s_root = NULL;
	vexfs_release(sb);
	return error;
}

static int vexfs_get_tree(struct fs_context *fc)
{
	return get_tree_bdev(fc, vexfs_fill_super);
}

/* Remount: between reading and writing, and other options. */
static int vexfs_reconfigure(struct fs_context *fc)
{
	struct super_block *sb = fc->root->d_sb;
	bool read_only = fc->sb_flags & SB_RDONLY;
	int error;

	sync_filesystem(sb);
	if (read_only != sb_rdonly(sb)) {
		vexfs_debug(sb, "remounted %s", read_only ? "read-only" : "for writing");
		if (read_only) {
			vexfs_write_clean(sb);
		} else {
			error = vexfs_start_writing(sb);
			if (error)
				return error;
		}
	}
	VEXFS_SB(sb)->options = *(struct vexfs_options *)fc->fs_private;
	return 0;
}

static void vexfs_free_fc(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations vexfs_context_operations = {
	.parse_param = vexfs_parse_param,
	.get_tree = vexfs_get_tree,
	.reconfigure = vexfs_reconfigure,
	.free = vexfs_free_fc,
};

static int vexfs_init_fs_context(struct fs_context *fc)
{
	struct vexfs_options *options = kzalloc(sizeof(*options), GFP_KERNEL);

	if (!options)
		return -ENOMEM;
	/* An option that a remount doesn't name stays as it is. */
	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE)
		*options = VEXFS_SB(fc->root->d_sb)->options;
	fc->fs_private = options;
	fc->ops = &vexfs_context_operations;
	return 0;
}

static struct file_system_type vexfs_type = {
	.owner = THIS_MODULE,
	.name = "vexfs",
	.init_fs_context = vexfs_init_fs_context,
	.parameters = vexfs_parameters,
	.kill_sb = kill_block_super,
	.fs_flags = FS_REQUIRES_DEV,
};
MODULE_ALIAS_FS("vexfs");

static int __init vexfs_init(void)
{
	int error;

	vexfs_inode_cache = kmem_cache_create("vexfs_inode", sizeof(struct vexfs_inode), 0,
					      SLAB_RECLAIM_ACCOUNT | SLAB_ACCOUNT,
					      vexfs_init_once);
	if (!vexfs_inode_cache)
		return -ENOMEM;
	error = register_filesystem(&vexfs_type);
	if (error) {
		kmem_cache_destroy(vexfs_inode_cache);
		return error;
	}
	pr_info("loaded, format %u\n", VEXFS_VERSION);
	return 0;
}

static void __exit vexfs_exit(void)
{
	unregister_filesystem(&vexfs_type);
	/* Inodes are freed after a grace period. */
	rcu_barrier();
	kmem_cache_destroy(vexfs_inode_cache);
	pr_info("unloaded\n");
}

module_init(vexfs_init);
module_exit(vexfs_exit);

MODULE_DESCRIPTION("vexfs, a small file system to learn and to test with");
MODULE_AUTHOR("the vexlab authors");
MODULE_LICENSE("GPL");
