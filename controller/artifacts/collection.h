// Which contents of the artifact directory may go.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "controller/artifacts/artifact_files.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

// Of what lies in the directory: complete contents that are the newest of no name and the model of
// no unfinished job, and what is left of broken pushes and damaged files; each only when it was
// pushed (or, where no name is known, changed) more than `keep_ns` ago. Broken pushes are kept an
// hour in any case, since somebody may be about to go on with them.
std::vector<StoredContent> Collectable(const std::vector<StoredContent>& contents,
                                       const ArtifactUse& use, std::int64_t keep_ns,
                                       std::int64_t now_wall_ns);

}  // namespace joulefarm::controller
