/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does KVM run a guest? That /dev/kvm opens says little: under some hypervisors and in some
 * containers it opens, and no virtual CPU can be made or run.
 */

#ifndef GPU_AGENT_MONITOR_KVM_PROBE_H
#define GPU_AGENT_MONITOR_KVM_PROBE_H

/*
 * Runs one instruction, HLT, on a virtual CPU in real mode. 0; or -errno with *ret_step saying
 * what could not be done. -ETIMEDOUT after two seconds. Uses SIGALRM.
 */
int kvm_probe(const char **ret_step);

#endif
