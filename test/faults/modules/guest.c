// SPDX-License-Identifier: GPL-2.0
/* faults: what takes the whole guest away. */
#include <linux/io.h>
#include <linux/reboot.h>
#include <linux/smp.h>

#include <asm/apicdef.h>
#include <asm/msr.h>

#include "faults.h"

static noinline int fault_reboot(void)
{
	emergency_restart();
	return 0;
}

static noinline int fault_power_off(void)
{
	kernel_power_off();
	return 0;
}

/* The timer of the processor that this runs on (Intel SDM 3A, Local APIC). */
static void stop_timer(void *apic)
{
	u32 base, rest __maybe_unused;

	/* In halves: the names for the whole changed in 6.16. */
	rdmsr(MSR_IA32_APICBASE, base, rest);
	if (base & X2APIC_ENABLE)
		wrmsr(APIC_BASE_MSR + (APIC_LVTT >> 4), APIC_LVT_MASKED, 0);
	else
		writel(APIC_LVT_MASKED, apic + APIC_LVTT);
}

/* No processor's clock ticks any more, and nobody is told. */
static noinline int fault_stop_timer(void)
{
	void __iomem *apic = ioremap(APIC_DEFAULT_PHYS_BASE, PAGE_SIZE);

	if (!apic)
		return -ENOMEM;
	on_each_cpu(stop_timer, (void __force *)apic, 1);
	iounmap(apic);
	return 0;
}

const struct fault guest_faults[] = {
	{ "reboot", fault_reboot },
	{ "power-off", fault_power_off },
	{ "stop-timer", fault_stop_timer },
	{ }
};
