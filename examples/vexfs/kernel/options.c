// SPDX-License-Identifier: GPL-2.0
/* vexfs: the options of a mount, read by the kernel's own parser. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "vexfs.h"

enum vexfs_option {
	VEXFS_OPTION_ERRORS,
	VEXFS_OPTION_DEBUG,
};

static const struct constant_table vexfs_errors[] = {
	{ "continue", VEXFS_ERRORS_CONTINUE },
	{ "remount-ro", VEXFS_ERRORS_REMOUNT_RO },
	{}
};

const struct fs_parameter_spec vexfs_parameters[] = {
	fsparam_enum("errors", VEXFS_OPTION_ERRORS, vexfs_errors),
	fsparam_flag_no("debug", VEXFS_OPTION_DEBUG),
	{}
};

int vexfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct vexfs_options *options = fc->fs_private;
	struct fs_parse_result result;
	int option = fs_parse(fc, vexfs_parameters, param, &result);

	if (option == VEXFS_OPTION_ERRORS)
		options->errors = result.uint_32;
	else if (option == VEXFS_OPTION_DEBUG)
		options->debug = !result.negated;
	return min(option, 0);
}

/* For /proc/mounts: what differs from the defaults. */
int vexfs_show_options(struct seq_file *file, struct dentry *root)
{
	const struct vexfs_options *options = &VEXFS_SB(root->d_sb)->options;

	if (options->errors == VEXFS_ERRORS_REMOUNT_RO)
		seq_puts(file, ",errors=remount-ro");
	if (options->debug)
		seq_puts(file, ",debug");
	return 0;
}
