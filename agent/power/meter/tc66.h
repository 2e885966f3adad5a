// RuiDeng TC66 and TC66C: 192 encrypted bytes per question, 10 to 12 times a second. Its key is
// published; the encryption keeps nothing secret.
//
// Threads: any. Ownership: values.
#pragma once

#include "agent/power/meter/model.h"

namespace joulefarm::agent {

MeterModel Tc66Model();

}  // namespace joulefarm::agent
