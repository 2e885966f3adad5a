// The table model of common/table under the name the CLI's code knows it by.
//
// Thread rule: plain values. Ownership: values.
#pragma once

#include "common/table/table.h"
