// OffsetCommit. Stateless; on the broker's thread.
#include "broker/handlers/handlers.h"
#include "broker/handlers/offsets_to_commit.h"

namespace onceflow::broker {

protocol::OffsetCommitResponse handle_offset_commit(BrokerCore& core, const Request& request,
                                                    const protocol::OffsetCommitRequest& body) {
  const KnownOffsets known = known_offsets(core, body.topics);
  const coordinator::OffsetCommitReply committed = core.changing([&] {
    coordinator::OffsetCommitReply reply = core.coordinator.groups().commit_offsets(
        {.group_id = body.group_id,
         .member_id = body.member_id,
         .instance_id = body.group_instance_id,
         .generation = GenerationId(body.generation_id_or_member_epoch)},
        known.offsets, request.header.api_version, core.moment(), core.effects);
    core.settle();
    return reply;
  });
  protocol::OffsetCommitResponse response;
  answer_offsets(body.topics, known, committed, response.topics);
  return response;
}

}  // namespace onceflow::broker
