// Makes a frame small when there is no room for it, without breaking its stream: the sequence
// number stays.
//
// Thread rule: pure functions. Ownership: none.
#pragma once

#include "joulefarm/v1/measurement.pb.h"

namespace joulefarm::agent {

// Puts the CRC32C of the payload into the frame.
void Seal(v1::Frame& frame);

// Trace chunks lose their samples and say so (gap, with n and times kept); log lines become one
// that counts them. Frames of every other stream stay as they are: they are never dropped. True
// when the frame was changed.
bool Degrade(v1::Frame& frame);

}  // namespace joulefarm::agent
