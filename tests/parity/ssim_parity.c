/* The library that ssim_parity.py loads.
   cc -O2 -shared -fPIC tests/parity/ssim_parity.c -o build/libssim_parity.so */
#define MOSAIC_SSIM_IMPLEMENTATION
#include "../../mosaic_ssim.h"
