// Files of the folder that are loaded when they are asked for: as scripts, which a page from the disk may load, too.

/**
 * @param {string} address
 * @param {string} missing what to say if it is not there
 * @returns {Promise<void>}
 */
export function load(address, missing) {
  return new Promise((done, failed) => {
    const file = document.createElement('script');
    file.src = address;
    file.onload = () => done();
    file.onerror = () => failed(new Error(missing));
    document.head.append(file);
  });
}
