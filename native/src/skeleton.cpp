// Forward kinematics: fifty-five small products, in double, on the caller's thread alone.
#include "skeleton.h"

#include <cmath>

namespace persona {
namespace {

// Below this squared angle [rad^2] the series are exact in double to a float's precision.
constexpr double kSmallSquare = 1e-6;

// Rodrigues: I + a K + b K K less the identity, row-major.
void turn_of(const float* axis_angle, double* turn) {
  const double x = axis_angle[0], y = axis_angle[1], z = axis_angle[2];
  const double square = x * x + y * y + z * z, angle = std::sqrt(square);
  const bool small = square < kSmallSquare;
  const double a = small ? 1.0 - square / 6.0 : std::sin(angle) / angle;
  const double b = small ? 0.5 - square / 24.0 : (1.0 - std::cos(angle)) / square;
  turn[0] = -b * (y * y + z * z), turn[1] = b * x * y - a * z, turn[2] = b * x * z + a * y;
  turn[3] = b * x * y + a * z, turn[4] = -b * (x * x + z * z), turn[5] = b * y * z - a * x;
  turn[6] = b * x * z - a * y, turn[7] = b * y * z + a * x, turn[8] = -b * (x * x + y * y);
}

// Where a joint rests with this expression.
void rest_of(const persona_body& body, const float* expression, int32_t joint, double* at) {
  for (int k = 0; k < 3; ++k) {
    const int64_t row = 3 * static_cast<int64_t>(joint) + k;
    const float* dirs = body.joint_dirs + row * body.expression_count;
    at[k] = body.rest_joints[row];
    for (int32_t e = 0; e < body.expression_count; ++e)
      at[k] += static_cast<double>(dirs[e]) * expression[e];
  }
}

// bone = parent * (turn about `joint`), all but the last row. A root's parent is the translation.
void chain(const double* parent, const double* turn, const double* joint, double* bone) {
  for (int i = 0; i < 3; ++i) {
    const double* p = parent + 4 * i;
    double* to = bone + 4 * i;
    to[3] = p[3];
    for (int j = 0; j < 3; ++j) {
      const double change = p[0] * turn[j] + p[1] * turn[3 + j] + p[2] * turn[6 + j];
      to[j] = p[j] + change;
      // The joint itself stays where its parent takes it.
      to[3] -= change * joint[j];
    }
  }
}

}  // namespace

bool bend_skeleton(const persona_body& body, const persona_pose& pose, float* bones,
                   float* bends) {
  const double world[12] = {1, 0, 0, pose.translation[0], 0, 1, 0, pose.translation[1],
                            0, 0, 1, pose.translation[2]};
  for (int32_t j = 0; j < body.joint_count; ++j) {
    const int32_t parent = body.parents[j];
    if (parent < -1 || parent >= j) return false;
    double turn[9], joint[3], above[12], bone[12];
    turn_of(pose.rotations + 3 * j, turn);
    for (int k = 0; k < 12; ++k) above[k] = parent < 0 ? world[k] : bones[16 * parent + k];
    rest_of(body, pose.expression, j, joint);
    chain(above, turn, joint, bone);
    for (int k = 0; k < 9; ++k) bends[9 * j + k] = static_cast<float>(turn[k]);
    for (int k = 0; k < 12; ++k) bones[16 * j + k] = static_cast<float>(bone[k]);
    bones[16 * j + 12] = bones[16 * j + 13] = bones[16 * j + 14] = 0.0f;
    bones[16 * j + 15] = 1.0f;
  }
  return true;
}

}  // namespace persona
