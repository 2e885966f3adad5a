// What is said of an id that nothing has, with what to do about it.
//
// Thread rule: pure functions. Ownership: values.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace joulefarm {

// "there is no job "job-9": `joulefarm job list` shows what there is". `what` is a kind of thing
// that has a listing of its own.
std::string NoSuch(absl::string_view what, absl::string_view id);

}  // namespace joulefarm
