import { SetMetadata } from '@nestjs/common';
import type { Role } from '../access/role-names.js';

export const ROLE_OF_ROUTE = 'sluice role of the route';

/** Every route has it, of its own or of its class; `none` is for probes. A route without it is refused to every caller. */
export const NeedsRole = (role: Role | 'none'): MethodDecorator & ClassDecorator =>
  SetMetadata(ROLE_OF_ROUTE, role);
