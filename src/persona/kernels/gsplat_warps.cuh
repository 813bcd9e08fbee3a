// Which pixels a warp draws, and how it adds up gradients; our build of gsplat's kernels includes it.
#pragma once

#include <cstdint>

namespace persona {

// A warp draws 8 by 4 pixels of a tile of 16 by 16, not 16 by 2: an ellipse touches fewer warps.
__device__ __forceinline__ uint32_t tile_row(uint32_t rank) {
    return rank / 64 * 4 + rank % 32 / 8;
}

__device__ __forceinline__ uint32_t tile_column(uint32_t rank) {
    return rank / 32 % 2 * 8 + rank % 8;
}

// Reads a row of colours, four numbers at a time where that fits.
template <uint32_t CDIM>
__device__ __forceinline__ void read(const float *row, float (&color)[CDIM]) {
    if constexpr (CDIM % 4 == 0) {
        const float4 *fours = reinterpret_cast<const float4 *>(row);
#pragma unroll
        for (uint32_t k = 0; k < CDIM; k += 4) {
            const float4 four = fours[k / 4];
            color[k] = four.x;
            color[k + 1] = four.y;
            color[k + 2] = four.z;
            color[k + 3] = four.w;
        }
    } else {
#pragma unroll
        for (uint32_t k = 0; k < CDIM; ++k) {
            color[k] = row[k];
        }
    }
}

// Two lanes that differ in STEP swap halves of what they hold, so that each has half as many values,
// of both. Five rounds leave lane k the sum of value k over the warp: 31 exchanges for 32 values,
// where adding up each by itself takes 160.
template <int COUNT, int STEP>
__device__ __forceinline__ void fold(float *values, uint32_t lane) {
    const bool upper = lane & STEP;
#pragma unroll
    for (int i = 0; i < STEP && i < COUNT; ++i) {
        const float other = i + STEP < COUNT ? values[i + STEP] : values[i];
        const float kept = upper ? other : values[i];
        const float sent = upper ? values[i] : other;
        values[i] = kept + __shfl_xor_sync(0xffffffffu, sent, STEP);
    }
    if constexpr (STEP > 1) {
        fold<(COUNT < STEP ? COUNT : STEP), STEP / 2>(values, lane);
    }
}

// Adds up to 32 values of every lane, from FIRST on, to where they belong: one atomic for all.
template <int COUNT, int FIRST>
__device__ __forceinline__ void add_up(
    const float (&values)[COUNT], uint32_t lane, float *(&places)[(COUNT + 31) / 32]
) {
    constexpr int HELD = COUNT - FIRST < 32 ? COUNT - FIRST : 32;
    float part[HELD];
#pragma unroll
    for (int i = 0; i < HELD; ++i) {
        part[i] = values[FIRST + i];
    }
    fold<HELD, 16>(part, lane);
    if (lane < HELD) {
        atomicAdd(places[FIRST / 32], part[0]);
    }
    if constexpr (FIRST + 32 < COUNT) {
        add_up<COUNT, FIRST + 32>(values, lane, places);
    }
}

// Adds a warp's gradients of one Gaussian to memory: colours, conic, mean and opacity.
template <uint32_t CDIM>
__device__ __forceinline__ void add_gradients(
    uint32_t lane,
    int32_t row,
    const float (&color)[CDIM],
    float conic_a,
    float conic_b,
    float conic_c,
    float mean_x,
    float mean_y,
    float opacity,
    float *colors,
    float *conics,
    float *means,
    float *opacities
) {
    constexpr int COUNT = CDIM + 6;
    float values[COUNT];
#pragma unroll
    for (uint32_t k = 0; k < CDIM; ++k) {
        values[k] = color[k];
    }
    values[CDIM] = conic_a;
    values[CDIM + 1] = conic_b;
    values[CDIM + 2] = conic_c;
    values[CDIM + 3] = mean_x;
    values[CDIM + 4] = mean_y;
    values[CDIM + 5] = opacity;
    float *places[(COUNT + 31) / 32];
#pragma unroll
    for (int c = 0; c < (COUNT + 31) / 32; ++c) {
        const uint32_t k = 32 * c + lane;
        places[c] = k < CDIM       ? colors + CDIM * static_cast<int64_t>(row) + k
                    : k < CDIM + 3 ? conics + 3 * static_cast<int64_t>(row) + (k - CDIM)
                    : k < CDIM + 5 ? means + 2 * static_cast<int64_t>(row) + (k - CDIM - 3)
                                   : opacities + row;
    }
    add_up<COUNT, 0>(values, lane, places);
}

}  // namespace persona
