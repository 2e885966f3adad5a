// The artifact table: names, what their contents say of themselves, and who needs them.
//
// Thread rule: the store thread. Errors: throws SQLite::Exception, as session.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "controller/store/session.h"
#include "controller/store/store.h"

namespace joulefarm::controller {

// The newest content of a name.
std::optional<Artifact> ReadArtifact(Session& session, const std::string& name);
ArtifactUse ReadArtifactUse(Session& session);
// Every name of the content, each with a farm event.
void RemoveArtifact(Session& session, const std::string& sha256, std::int64_t wall_ns);

}  // namespace joulefarm::controller
