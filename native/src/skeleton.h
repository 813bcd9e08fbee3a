// From the rotations of joints to the transforms of bones.
#pragma once

#include "persona_native.h"

namespace persona {

// Writes each bone's transform from rest to the world (joints,4,4), and each joint's rotation less
// the identity (joints,9). False when a parent does not come before its child.
bool bend_skeleton(const persona_body& body, const persona_pose& pose, float* bones, float* bends);

}  // namespace persona
