/* SPDX-License-Identifier: GPL-2.0 */
/*
 * faults: a module that misbehaves on purpose.
 *
 * Each file makes the faults of one subject.  Their functions are never
 * inlined, so that a trace names the fault.
 */
#ifndef FAULTS_H
#define FAULTS_H

struct fault {
	const char *name;		/* NULL ends a table */
	int (*make)(void);
};

extern const struct fault oops_faults[];
extern const struct fault report_faults[];
extern const struct fault stall_faults[];
extern const struct fault sleep_faults[];
extern const struct fault list_faults[];
extern const struct fault slab_faults[];
extern const struct fault silent_faults[];
extern const struct fault memory_faults[];
extern const struct fault guest_faults[];

#endif
