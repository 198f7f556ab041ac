/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* The FileDescriptorSet of proto/, imports included, for a server's reflection. Made by the build. */
#ifndef VMAFX_RPC_DESCRIPTORS_H
#define VMAFX_RPC_DESCRIPTORS_H

#include <stddef.h>

extern const unsigned char vmafx_descriptors[];
extern const size_t vmafx_descriptors_len;
#endif
