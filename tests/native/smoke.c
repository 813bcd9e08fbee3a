/* Draws one Gaussian through the C ABI and checks the picture: for processors we only cross-compile
 * for, see make cross-arm. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "persona_native.h"

enum { kWidth = 20, kHeight = 12, kCount = 2 };

static float image[kHeight * kWidth], alpha[kHeight * kWidth];
static float again[kHeight * kWidth], alpha_again[kHeight * kWidth];

static int draw(persona_workspace* workspace, int threads, float* to, float* to_alpha) {
  /* The second lies behind the first and off the picture. */
  const float means2d[] = {8.5f, 6.5f, -90.0f, 6.5f}, depths[] = {1.0f, 2.0f};
  const float conics[] = {0.25f, 0.0f, 1.0f, 1.0f, 0.0f, 1.0f};
  const float opacities[] = {0.8f, 0.5f}, features[] = {2.0f, 5.0f};
  return persona_rasterize_forward(workspace, PERSONA_BASELINE, threads, kCount, 1, means2d, conics,
                                   opacities, features, depths, 0, 0, kWidth, kHeight, to,
                                   to_alpha);
}

static int differentiate(persona_workspace* workspace, float* grad_opacities) {
  static float ones[kHeight * kWidth], zeros[kHeight * kWidth];
  const float opacities[] = {0.8f, 0.5f}, features[] = {2.0f, 5.0f};
  float means2d[2 * kCount], conics[3 * kCount], grad_features[kCount];
  for (int i = 0; i < kHeight * kWidth; ++i) ones[i] = 1.0f;
  return persona_rasterize_backward(workspace, PERSONA_BASELINE, 1, opacities, features, image,
                                    alpha, ones, zeros, means2d, conics, grad_opacities,
                                    grad_features);
}

int main(void) {
  persona_workspace* workspace = persona_workspace_create();
  const double expected = 0.8 * exp(-0.5 * (0.25 * 9.0 + 1.0));
  const int at = 7 * kWidth + 11;
  int wrong = persona_abi_version() != PERSONA_ABI_VERSION;
  wrong |= draw(workspace, 1, image, alpha) != PERSONA_OK;
  wrong |= fabs(alpha[at] - expected) > 1e-6 || fabs(image[at] - 2.0 * expected) > 2e-6;
  wrong |= alpha[6 * kWidth + 8] < 0.799999f || alpha[10 * kWidth + 8] != 0.0f;
  float grad_opacities[kCount], sum = 0.0f;
  wrong |= differentiate(workspace, grad_opacities) != PERSONA_OK;
  for (int i = 0; i < kHeight * kWidth; ++i) sum += image[i];
  /* The picture is linear in the opacity. */
  wrong |= fabs(grad_opacities[0] * 0.8f / sum - 1.0f) > 1e-4f || grad_opacities[1] != 0.0f;
  wrong |= draw(workspace, 3, again, alpha_again) != PERSONA_OK;
  wrong |= memcmp(image, again, sizeof image) != 0 || memcmp(alpha, alpha_again, sizeof alpha) != 0;
  persona_workspace_destroy(workspace);
  printf("alpha %.7f, expected %.7f: %s\n", alpha[at], expected, wrong ? "WRONG" : "right");
  return wrong;
}
