/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* Under a sanitizer, which looks for other things than values, kernels are an order of magnitude slower. */
#ifndef VMAFX_TESTS_GOLDEN_SANITIZED_H
#define VMAFX_TESTS_GOLDEN_SANITIZED_H

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/** Of many cases that are alike, one in so many is tried. */
#if __has_feature(address_sanitizer)
#define ONE_OF_MANY 4
#else
#define ONE_OF_MANY 1
#endif
#endif
