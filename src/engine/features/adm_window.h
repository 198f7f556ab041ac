/* SPDX-License-Identifier: BSD-2-Clause-Patent */
/* What ADM in integers and in binary32 share: the sizes of bands, and which part of them counts. */
#ifndef VMAFX_ENGINE_FEATURES_ADM_WINDOW_H
#define VMAFX_ENGINE_FEATURES_ADM_WINDOW_H

/** Samples of a band of n. */
static inline int vmafx_adm_half(int n)
{
    return (n + 1) / 2;
}

/** A band and the window of it that counts; right and bottom are the first that do not. */
typedef struct VmafxAdmWindow {
    int w, h;
    int left, right, top, bottom;
} VmafxAdmWindow;

static inline VmafxAdmWindow vmafx_adm_window(int w, int h)
{
    int left = w >= 5 ? (w - 5) / 10 : 0, top = h >= 5 ? (h - 5) / 10 : 0;

    return (VmafxAdmWindow){ w, h, left, w - left, top, h - top };
}
#endif
