// SPDX-License-Identifier: GPL-2.0
/* faults: processors that never come back. */
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/processor.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "faults.h"

static volatile int never;

static noinline int fault_soft_lockup(void)
{
	preempt_disable();
	while (!never)
		cpu_relax();
	preempt_enable();
	return 0;
}

static noinline int fault_hard_lockup(void)
{
	local_irq_disable();
	while (!never)
		cpu_relax();
	local_irq_enable();
	return 0;
}

/* Gives the processor away, so that only RCU notices. */
static noinline int fault_rcu_stall(void)
{
	rcu_read_lock();
	while (!never)
		schedule();
	rcu_read_unlock();
	return 0;
}

static noinline int fault_endless_loop(void)
{
	while (!never)
		cond_resched();
	return 0;
}

const struct fault stall_faults[] = {
	{ "soft-lockup", fault_soft_lockup },
	{ "hard-lockup", fault_hard_lockup },
	{ "rcu-stall", fault_rcu_stall },
	{ "endless-loop", fault_endless_loop },
	{ }
};
