// RuiDeng UM24C, UM25C and UM34C: 130 bytes per question over Bluetooth (a bound /dev/rfcommN), at
// most ten times a second. The protocol has no check worth the name: what can be wrong silently is.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

MeterModel Um25cModel();

}  // namespace joulefarm::agent
