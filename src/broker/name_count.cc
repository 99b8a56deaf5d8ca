#include "broker/name_count.h"

namespace onceflow::broker {

std::size_t names_max(const BrokerCore& core) {
  const log::Topics& topics = core.log.topics();
  const std::size_t held = topics.by_name().size() + topics.partition_count() +
                           core.coordinator.groups().usage().group_count +
                           core.coordinator.transactions().transactional_id_count();
  return kNamesFree + 2 * held;
}

}  // namespace onceflow::broker
