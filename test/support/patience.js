/** Tests on real servers: those take seconds to start, and this machine may be busy with others. */
import { jest } from '@jest/globals';

jest.setTimeout(120_000);
