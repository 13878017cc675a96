// SPDX-License-Identifier: GPL-2.0-only
/*
 * An IOMMU for our bus, so that its functions have groups and vfio-pci takes them. VFIO asks
 * back at unmap what it mapped, so that must be remembered; nothing ever does DMA.
 */
#include <linux/iommu.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "pci.h"

struct domain {
	struct iommu_domain base;
	struct xarray pages; /* page number seen by the device: that in memory */
};

static struct iommu_device test_iommu;

static struct domain *to_domain(struct iommu_domain *base)
{
	return container_of(base, struct domain, base);
}

static bool iommu_is_capable(struct device *device, enum iommu_cap capability)
{
	return capability == IOMMU_CAP_CACHE_COHERENCY || capability == IOMMU_CAP_INTR_REMAP;
}

static int domain_attach(struct iommu_domain *base, struct device *device)
{
	return 0;
}

static void domain_detach(struct iommu_domain *base, struct device *device)
{
}

static int domain_map(struct iommu_domain *base, unsigned long iova, phys_addr_t address,
		      size_t size, size_t count, int protection, gfp_t gfp, size_t *mapped)
{
	struct domain *domain = to_domain(base);

	for (; count; count--, iova += size, address += size, *mapped += size)
		if (xa_is_err(xa_store(&domain->pages, iova >> PAGE_SHIFT,
				       xa_mk_value(address >> PAGE_SHIFT), gfp)))
			return -ENOMEM;
	return 0;
}

static size_t domain_unmap(struct iommu_domain *base, unsigned long iova, size_t size, size_t count,
			   struct iommu_iotlb_gather *gather)
{
	struct domain *domain = to_domain(base);
	size_t done;

	for (done = 0; done < count; done++)
		if (!xa_erase(&domain->pages, (iova >> PAGE_SHIFT) + done))
			break;
	return done * size;
}

static phys_addr_t domain_look_up(struct iommu_domain *base, dma_addr_t iova)
{
	const void *entry = xa_load(&to_domain(base)->pages, iova >> PAGE_SHIFT);

	if (!entry)
		return 0;
	return (phys_addr_t)xa_to_value(entry) << PAGE_SHIFT | (iova & ~PAGE_MASK);
}

static void domain_free(struct iommu_domain *base)
{
	struct domain *domain = to_domain(base);

	xa_destroy(&domain->pages);
	kfree(domain);
}

static struct iommu_domain *domain_alloc(unsigned int type)
{
	struct domain *domain;

	if (type != IOMMU_DOMAIN_UNMANAGED && type != IOMMU_DOMAIN_IDENTITY &&
	    type != IOMMU_DOMAIN_BLOCKED)
		return NULL;
	domain = kzalloc(sizeof(*domain), GFP_KERNEL);
	if (!domain)
		return NULL;
	xa_init(&domain->pages);
	domain->base.geometry.aperture_end = DMA_BIT_MASK(48);
	domain->base.geometry.force_aperture = true;
	return &domain->base;
}

static struct iommu_device *iommu_probe(struct device *device)
{
	if (!dev_is_pci(device) || to_pci_dev(device)->bus->ops != &slot_config_ops)
		return ERR_PTR(-ENODEV);
	return &test_iommu;
}

static void iommu_release(struct device *device)
{
}

static int iommu_default_domain(struct device *device)
{
	return IOMMU_DOMAIN_IDENTITY;
}

static const struct iommu_domain_ops domain_ops = {
	.attach_dev = domain_attach,
	.detach_dev = domain_detach,
	.map_pages = domain_map,
	.unmap_pages = domain_unmap,
	.iova_to_phys = domain_look_up,
	.free = domain_free,
};

static const struct iommu_ops test_iommu_ops = {
	.capable = iommu_is_capable,
	.domain_alloc = domain_alloc,
	.probe_device = iommu_probe,
	.release_device = iommu_release,
	.device_group = pci_device_group,
	.def_domain_type = iommu_default_domain,
	.pgsize_bitmap = PAGE_SIZE,
	.owner = THIS_MODULE,
	.default_domain_ops = &domain_ops,
};

int test_iommu_register(void)
{
	int ret = iommu_device_sysfs_add(&test_iommu, NULL, NULL, "test-iommu");

	return ret ?: iommu_device_register(&test_iommu, &test_iommu_ops, NULL);
}
