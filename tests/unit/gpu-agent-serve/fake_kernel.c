/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct fake_type fake_types[FAKE_TYPES] = {
	{ "1145", "NVIDIA L40S-1B", 1024, 32 },	 { "1147", "NVIDIA L40S-1Q", 1024, 32 },
	{ "1148", "NVIDIA L40S-2Q", 2048, 24 },	 { "1150", "NVIDIA L40S-4Q", 4096, 12 },
	{ "1156", "NVIDIA L40S-48Q", 49152, 1 }, { "1158", "NVIDIA L40S-2A", 2048, 24 },
	{ "1160", "NVIDIA L40S-4A", 4096, 12 },
};

void fake_kernel_init(struct fake_kernel *kernel, int gpu_count)
{
	*kernel = (struct fake_kernel){ .gpu_count = gpu_count, .next_group = 100 };
}

struct pci_addr fake_gpu_address(int gpu)
{
	return (struct pci_addr){ .bus = (uint8_t)(0x41 + 0x20 * gpu) };
}

struct pci_addr fake_vf_address(int gpu, int vf)
{
	struct pci_addr address = fake_gpu_address(gpu);

	address.slot = (uint8_t)((vf + 4) / 8);
	address.function = (uint8_t)((vf + 4) % 8);
	return address;
}

bool fake_vf_find(const struct fake_kernel *kernel, struct pci_addr address, int *gpu, int *vf)
{
	for (*gpu = 0; *gpu < kernel->gpu_count; ++*gpu)
		for (*vf = 0; *vf < FAKE_VFS; ++*vf)
			if (pci_addr_compare(fake_vf_address(*gpu, *vf), address) == 0)
				return true;
	return false;
}

static bool is_free(const struct fake_kernel *kernel, int gpu, int vf)
{
	return kernel->mdevs[gpu][vf].uuid[0] == '\0';
}

int fake_kernel_available(const struct fake_kernel *kernel, int gpu, int vf, int type)
{
	int created = 0;

	for (int i = 0; i < FAKE_VFS; i++) {
		if (is_free(kernel, gpu, i))
			continue;
		created++;
		if (!kernel->mixed_sizes && fake_types[kernel->mdevs[gpu][i].type].framebuffer_mb !=
						    fake_types[type].framebuffer_mb)
			return 0;
	}
	return is_free(kernel, gpu, vf) && created < fake_types[type].max_instance;
}

int fake_kernel_create(struct fake_kernel *kernel, int gpu, int vf, int type, const char *uuid)
{
	if (gpu >= kernel->gpu_count || type < 0)
		return -ENODEV;
	if (fake_kernel_find(kernel, uuid))
		return -EEXIST;
	if (!fake_kernel_available(kernel, gpu, vf, type))
		return -EIO;
	snprintf(kernel->mdevs[gpu][vf].uuid, OPS_UUID_SIZE, "%s", uuid);
	kernel->mdevs[gpu][vf].type = type;
	kernel->mdevs[gpu][vf].group = kernel->next_group++;
	kernel->mdevs[gpu][vf].in_journal = false;
	return 0;
}

struct fake_mdev *fake_kernel_find(struct fake_kernel *kernel, const char *uuid)
{
	for (int gpu = 0; gpu < kernel->gpu_count; gpu++)
		for (int vf = 0; vf < FAKE_VFS; vf++)
			if (strcmp(kernel->mdevs[gpu][vf].uuid, uuid) == 0)
				return &kernel->mdevs[gpu][vf];
	return NULL;
}

bool fake_kernel_remove(struct fake_kernel *kernel, const char *uuid)
{
	struct fake_mdev *mdev = fake_kernel_find(kernel, uuid);

	if (mdev)
		memset(mdev, 0, sizeof(*mdev));
	return mdev;
}

int fake_kernel_count(const struct fake_kernel *kernel)
{
	int count = 0;

	for (int gpu = 0; gpu < kernel->gpu_count; gpu++)
		for (int vf = 0; vf < FAKE_VFS; vf++)
			count += !is_free(kernel, gpu, vf);
	return count;
}

int fake_type_find(const char *directory)
{
	for (int type = 0; type < FAKE_TYPES; type++)
		if (strncmp(directory, "nvidia-", 7) == 0 &&
		    strcmp(directory + 7, fake_types[type].id) == 0)
			return type;
	return -1;
}

static struct op_record pci_record(struct pci_addr address)
{
	struct op_record record;

	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_PCI;
	record.pci.address = address;
	record.pci.vendor = record.pci.subsystem_vendor = 0x10de;
	record.pci.device = 0x26b9;
	record.pci.class_code = 0x030200;
	record.pci.iommu_group = 10;
	strcpy(record.pci.driver, "nvidia");
	return record;
}

static struct op_record type_record(const struct fake_kernel *kernel, int gpu, int vf, int type)
{
	struct op_record record;

	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_MDEV_TYPE;
	record.mdev_type.parent = fake_vf_address(gpu, vf);
	snprintf(record.mdev_type.type, OPS_TYPE_MAX, "nvidia-%s", fake_types[type].id);
	snprintf(record.mdev_type.name, OPS_NAME_MAX, "%s", fake_types[type].name);
	record.mdev_type.framebuffer_mb = fake_types[type].framebuffer_mb;
	record.mdev_type.max_instance = fake_types[type].max_instance;
	record.mdev_type.available = fake_kernel_available(kernel, gpu, vf, type);
	return record;
}

static struct op_record mdev_record(const struct fake_kernel *kernel, int gpu, int vf)
{
	const struct fake_mdev *mdev = &kernel->mdevs[gpu][vf];
	struct op_record record;

	memset(&record, 0, sizeof(record));
	record.version = OPS_VERSION;
	record.kind = OP_RECORD_MDEV;
	record.mdev.parent = fake_vf_address(gpu, vf);
	memcpy(record.mdev.uuid, mdev->uuid, sizeof(record.mdev.uuid));
	snprintf(record.mdev.type, OPS_TYPE_MAX, "nvidia-%s", fake_types[mdev->type].id);
	record.mdev.iommu_group = mdev->group;
	record.mdev.in_journal = mdev->in_journal;
	return record;
}

size_t fake_kernel_scan(const struct fake_kernel *kernel, struct op_record **ret)
{
	size_t count = 0;
	struct op_record *records = calloc(
		(size_t)kernel->gpu_count * (1 + FAKE_VFS * (2 + FAKE_TYPES)), sizeof(*records));

	for (int gpu = 0; gpu < kernel->gpu_count; gpu++) {
		struct op_record *pf = &records[count++];

		*pf = pci_record(fake_gpu_address(gpu));
		pf->pci.sriov_total = pf->pci.sriov_enabled = FAKE_VFS;
		strcpy(pf->pci.name, "NVIDIA L40S");
		for (int vf = 0; vf < FAKE_VFS; vf++) {
			struct op_record *function = &records[count++];

			*function = pci_record(fake_vf_address(gpu, vf));
			function->pci.is_virtual = function->pci.is_mdev_parent = 1;
			function->pci.physfn = fake_gpu_address(gpu);
			for (int type = 0; type < FAKE_TYPES; type++)
				records[count++] = type_record(kernel, gpu, vf, type);
			if (!is_free(kernel, gpu, vf))
				records[count++] = mdev_record(kernel, gpu, vf);
		}
	}
	*ret = records;
	return count;
}

void fake_uuid(char uuid[OPS_UUID_SIZE], unsigned number)
{
	snprintf(uuid, OPS_UUID_SIZE, "aa618089-8b16-4d01-a136-%012x", number);
}
