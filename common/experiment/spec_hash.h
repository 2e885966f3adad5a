// The hash that names an expanded experiment. Internal to common/experiment.
//
// Threads: pure functions. Ownership: values.
#pragma once

#include <string>

#include "common/experiment/expand.h"
#include "common/sha256/sha256.h"
#include "google/protobuf/message.h"

namespace joulefarm {

// Feeds every set field by number, type and value, so that equal messages give equal bytes with any
// version of protobuf (whose own serialisation promises nothing across versions).
void HashMessage(const google::protobuf::Message& message, Sha256* sha);

// Of everything in the expansion but the hash itself and the warnings.
std::string ExpansionHash(const Expansion& expansion);

}  // namespace joulefarm
