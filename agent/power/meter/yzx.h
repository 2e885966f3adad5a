// YZXStudio ZY1280 and ZY1280E: 28 bytes by itself, four times a second. Its converter (CH340) is
// in a thousand other things, so it is used only where it is configured.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

MeterModel YzxModel();

}  // namespace joulefarm::agent
