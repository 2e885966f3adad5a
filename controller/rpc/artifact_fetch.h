// One FetchArtifact call. One piece of at most 256 KiB is in memory at a time: the next is read
// once gRPC has taken the last, and it takes no more than the agent reads.
//
// Thread rule: gRPC calls back on its own threads; the file is read on the pool. Ownership: deletes
// itself when gRPC is done with it; everything it is given outlives it.
#pragma once

#include "boost/asio/thread_pool.hpp"
#include "controller/artifacts/artifact_files.h"
#include "joulefarm/v1/artifact_service.grpc.pb.h"

namespace joulefarm::controller {

grpc::ServerWriteReactor<v1::FetchArtifactResponse>* NewFetch(
    const ArtifactFiles& files, boost::asio::thread_pool& pool,
    const v1::FetchArtifactRequest& request);

}  // namespace joulefarm::controller
