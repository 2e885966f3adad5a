// Reading back: the farm's state after a restart, and one attempt for the finaliser.
//
// Thread rule: the store thread. Ownership: values. Errors: throws SQLite::Exception.
#pragma once

#include <optional>
#include <vector>

#include "controller/store/session.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

FarmSnapshot LoadFarm(Session& session);

// Every final of the attempts whose results are still to come.
std::vector<SourceFinal> ReadFinals(Session& session);

std::vector<Fence> ReadUnfinalised(Session& session);

std::vector<v1::StreamCursor> ReadCursors(Session& session, Fence fence);

// Absent when the attempt or the final of its source 0 does not exist.
std::optional<AttemptData> ReadAttemptData(Session& session, Fence fence);

}  // namespace joulefarm::controller
