// SPDX-License-Identifier: GPL-2.0
/*
 * vexfs: what can be done with names.
 *
 * Link counts are checked before they go down: on a damaged disk they may be
 * lower than the number of names.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

static int vexfs_wrong_links(struct inode *inode)
{
	vexfs_damaged(inode->i_sb, "inode %llu: more names than its %u links",
		      (u64)inode->i_ino, inode->i_nlink);
	return -EUCLEAN;
}

static struct dentry *vexfs_lookup(struct inode *dir, struct dentry *dentry, unsigned int flags)
{
	struct inode *inode = NULL;
	struct vexfs_slot slot;
	int error;

	if (dentry->d_name.len > VEXFS_NAME_MAX)
		return ERR_PTR(-ENAMETOOLONG);

	error = vexfs_dir_find(dir, &dentry->d_name, &slot);
	if (!error) {
		struct vexfs_dirent *dirent = vexfs_slot_dirent(&slot);
		u8 type = dirent->type;

		inode = vexfs_iget(dir->i_sb, le32_to_cpu(dirent->inode));
		vexfs_slot_put(&slot);
		if (!IS_ERR(inode) &&
		    (!inode->i_nlink || type != fs_umode_to_dtype(inode->i_mode))) {
			vexfs_damaged(dir->i_sb, "inode %llu: directory %llu has it wrong",
				      (u64)inode->i_ino, (u64)dir->i_ino);
			iput(inode);
			return ERR_PTR(-EUCLEAN);
		}
	} else if (error != -ENOENT) {
		return ERR_PTR(error);
	}
	return d_splice_alias(inode, dentry);
}

/* Gives a new inode its name, or throws it away. */
static int vexfs_add_new(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	int error = vexfs_dir_add(dir, &dentry->d_name, inode);

	if (error) {
		clear_nlink(inode);
		discard_new_inode(inode);
		return error;
	}
	d_instantiate_new(dentry, inode);
	return 0;
}

static int vexfs_create(VEXFS_IDMAP_ARG struct inode *dir, struct dentry *dentry,
			umode_t mode VEXFS_EXCLUSIVE_ARG)
{
	struct inode *inode = vexfs_new_inode(dir, mode);

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	return vexfs_add_new(dir, dentry, inode);
}

static int vexfs_symlink(VEXFS_IDMAP_ARG struct inode *dir, struct dentry *dentry,
			 const char *target)
{
	size_t size = strlen(target);
	struct inode *inode;
	int error;

	if (size >= VEXFS_BLOCK_SIZE)
		return -ENAMETOOLONG;
	inode = vexfs_new_inode(dir, S_IFLNK | 0777);
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	error = page_symlink(inode, target, size + 1);
	if (!error)
		error = filemap_write_and_wait(inode->i_mapping);	/* before the name */
	if (error) {
		clear_nlink(inode);
		discard_new_inode(inode);
		return error;
	}
	return vexfs_add_new(dir, dentry, inode);
}

static int vexfs_make_dir(struct inode *dir, struct dentry *dentry, umode_t mode)
{
	struct inode *inode = vexfs_new_inode(dir, S_IFDIR | mode);
	int error;

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	set_nlink(inode, 2);
	error = vexfs_dir_grow(inode);
	if (error) {
		clear_nlink(inode);
		discard_new_inode(inode);
		return error;
	}
	error = vexfs_add_new(dir, dentry, inode);
	if (!error) {
		inc_nlink(dir);
		mark_inode_dirty(dir);
	}
	return error;
}

static VEXFS_MKDIR_RESULT vexfs_mkdir(VEXFS_IDMAP_ARG struct inode *dir, struct dentry *dentry,
				      umode_t mode)
{
	return vexfs_mkdir_result(vexfs_make_dir(dir, dentry, mode));
}

static int vexfs_link(struct dentry *old, struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(old);
	int error;

	error = vexfs_dir_add(dir, &dentry->d_name, inode);
	if (error)
		return error;
	vexfs_set_ctime(inode, current_time(inode));
	inc_nlink(inode);
	mark_inode_dirty(inode);
	ihold(inode);
	d_instantiate(dentry, inode);
	return 0;
}

/* Takes one link from an inode, and from a directory also that of its ".". */
static void vexfs_drop_link(struct inode *inode)
{
	vexfs_set_ctime(inode, current_time(inode));
	if (S_ISDIR(inode->i_mode))
		drop_nlink(inode);
	drop_nlink(inode);
	mark_inode_dirty(inode);
}

/* Whether @inode may lose a name in @dir: 0 or an error. */
static int vexfs_may_remove(struct inode *dir, struct inode *inode)
{
	int empty;

	if (!S_ISDIR(inode->i_mode))
		return inode->i_nlink ? 0 : vexfs_wrong_links(inode);

	if (dir->i_nlink < 3)
		return vexfs_wrong_links(dir);
	empty = vexfs_dir_is_empty(inode);
	if (empty < 0)
		return empty;
	if (!empty)
		return -ENOTEMPTY;
	return inode->i_nlink == 2 ? 0 : vexfs_wrong_links(inode);
}

/* Finds the record of a name which the VFS knows to be there. */
static int vexfs_find_known(struct inode *dir, struct dentry *dentry, struct vexfs_slot *slot)
{
	int error = vexfs_dir_find(dir, &dentry->d_name, slot);

	if (error)
		return error;
	if (le32_to_cpu(vexfs_slot_dirent(slot)->inode) == d_inode(dentry)->i_ino)
		return 0;
	vexfs_slot_put(slot);
	return -ESTALE;
}

static int vexfs_remove(struct inode *dir, struct dentry *dentry)
{
	struct inode *inode = d_inode(dentry);
	struct vexfs_slot slot;
	int error;

	error = vexfs_may_remove(dir, inode);
	if (error)
		return error;
	error = vexfs_find_known(dir, dentry, &slot);
	if (error)
		return error;
	vexfs_dir_remove(dir, &slot);
	vexfs_slot_put(&slot);
	if (S_ISDIR(inode->i_mode)) {
		drop_nlink(dir);
		mark_inode_dirty(dir);
	}
	vexfs_drop_link(inode);
	return 0;
}

/* The new name stands for @inode; whatever it stood for has lost it. */
static int vexfs_take_name(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	struct inode *target = d_inode(dentry);
	struct vexfs_slot slot;
	int error;

	if (!target)
		return vexfs_dir_add(dir, &dentry->d_name, inode);

	error = vexfs_may_remove(dir, target);
	if (error)
		return error;
	error = vexfs_find_known(dir, dentry, &slot);
	if (error)
		return error;
	vexfs_dir_replace(dir, &slot, inode);
	vexfs_slot_put(&slot);
	if (S_ISDIR(target->i_mode)) {
		drop_nlink(dir);
		mark_inode_dirty(dir);
	}
	vexfs_drop_link(target);
	return 0;
}

/*
 * Two names in one block reach the disk together.  From two blocks the old one
 * might go first, so the new one has to be there; and before what it stood for
 * is erased, it has to stand for the other.  A failure has been reported; to
 * take the name back would not be safer.
 */
static void vexfs_settle_name(struct inode *dir, struct dentry *dentry,
			      const struct vexfs_slot *old)
{
	bool commits = d_really_is_positive(dentry);
	struct vexfs_slot slot;

	if (!commits && !vexfs_dir_find(dir, &dentry->d_name, &slot)) {
		commits = slot.bh != old->bh;
		vexfs_slot_put(&slot);
	}
	if (commits)
		vexfs_commit(dir->i_sb);
}

static int vexfs_rename(VEXFS_IDMAP_ARG struct inode *old_dir, struct dentry *old_dentry,
			struct inode *new_dir, struct dentry *new_dentry, unsigned int flags)
{
	struct inode *inode = d_inode(old_dentry);
	bool moves_dir = S_ISDIR(inode->i_mode) && old_dir != new_dir;
	struct vexfs_slot slot;
	int error;

	if (flags & ~RENAME_NOREPLACE)
		return -EINVAL;
	if (moves_dir && old_dir->i_nlink < 3)
		return vexfs_wrong_links(old_dir);

	/*
	 * The slot stays where it is while the new name is added: only the
	 * record before it can have got shorter.
	 */
	error = vexfs_find_known(old_dir, old_dentry, &slot);
	if (error)
		return error;
	error = vexfs_take_name(new_dir, new_dentry, inode);
	if (!error) {
		vexfs_settle_name(new_dir, new_dentry, &slot);
		vexfs_dir_remove(old_dir, &slot);
		if (moves_dir) {
			drop_nlink(old_dir);
			mark_inode_dirty(old_dir);
			inc_nlink(new_dir);
			mark_inode_dirty(new_dir);
		}
		vexfs_set_ctime(inode, current_time(inode));
		mark_inode_dirty(inode);
	}
	vexfs_slot_put(&slot);
	return error;
}

const struct inode_operations vexfs_dir_inode_operations = {
	.lookup = vexfs_lookup,
	.create = vexfs_create,
	.link = vexfs_link,
	.unlink = vexfs_remove,
	.symlink = vexfs_symlink,
	.mkdir = vexfs_mkdir,
	.rmdir = vexfs_remove,
	.rename = vexfs_rename,
	.setattr = vexfs_setattr,
};
